"""What is too little to say much: told in a line when a run begins."""

FEW_STEPS = 50
FEW_VALIDATION_IMAGES = 30


def counted(number: int, noun: str) -> str:
    """A number of things: `1 step`, `2,000 steps`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def few(steps: int, val_images: int) -> list[str]:
    """Warnings for a run of few steps, and for an accuracy that is measured on few images."""
    said = []
    if steps < FEW_STEPS:
        said.append(
            f"only {counted(steps, 'step')} in the whole run: lower --batch-size or raise --epochs"
        )
    if val_images < FEW_VALIDATION_IMAGES:
        said.append(
            f"only {counted(val_images, 'validation image')}: the accuracy is a rough guess; raise "
            f"--val-fraction or give more images"
        )
    return said
