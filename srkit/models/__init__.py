"""The networks: SRGAN (the report's Figure 1), SR-UGAN (its Figure 2), and what looks at them."""

from srkit.models.blocks import (
    Attention,
    AttentionUNet,
    DenseBlock,
    DownBlock,
    ResidualBlock,
    UNetBlock,
    UpBlock,
    conv,
    he_initialise,
)
from srkit.models.build import (
    GENERATORS,
    build_discriminator,
    build_generator,
    quick_start,
    quick_start_discriminator,
)
from srkit.models.inference import (
    InBf16,
    OtherGenerator,
    interpolated,
    with_early_tail,
)
from srkit.models.leftthomas import (
    LeftthomasGenerator,
)
from srkit.models.probes import (
    count_gflop,
    count_parameters,
    effective_radius,
    gradient_map,
    largest_layer,
    receptive_field,
    receptive_radius,
)
from srkit.models.srgan import (
    SRGANDiscriminator,
    SRGANGenerator,
)
from srkit.models.srugan import (
    SRUGANDiscriminator,
    SRUGANGenerator,
)
from srkit.models.unet_discriminator import (
    UNetDiscriminator,
)
from srkit.models.vgg19 import (
    VGG19,
    VGG19_LAYERS,
    Standardise,
)
