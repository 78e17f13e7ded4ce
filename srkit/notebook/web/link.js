// A kernel's end of the page that it showed: a model without a view, found by the page's name.
const links = (globalThis.srkitLinks ??= new Map());

function tell(page) {
  window.dispatchEvent(new CustomEvent("srkit-link", { detail: page }));
}

export default {
  initialize({ model }) {
    const page = model.get("page");
    links.set(page, model);
    tell(page);
    return () => {
      links.delete(page);
      tell(page);
    };
  },
};
