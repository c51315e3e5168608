"""Points by band: how a score turns a measured value into points."""

Bands = tuple[tuple[float, int], ...]  # (lower end, included; points), highest first


def points(value: float, bands: Bands, below: int = 0) -> int:
    """The points of the band a value lies in; `below` where it lies under every band."""
    return next((worth for low, worth in bands if value >= low), below)
