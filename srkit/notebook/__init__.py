"""What only a notebook needs: its session, figures, widgets, and running all of them."""
