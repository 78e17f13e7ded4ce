"""srkit: a teaching and reproduction kit for image super-resolution.

The module follows the course report that it reproduces: `srkit.models` holds its Figures 1 and 2,
`srkit.losses` its equations 1 to 8, `srkit.fid` equation 9 and `srkit.training` sections 4.3 and 5.
The notebooks walk through them in order.
"""

__version__ = "0.1.0"
