"""How the decision and the report write numbers: differences in points, p-values, levels, ordinals."""


def points(difference: float) -> str:
    """0.282 as +28.2."""
    return f"{100 * difference:+.1f}"


def p_value(p: float) -> str:
    """0.0213 as 0.021; tiny values by their bound."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def p_is(p: float) -> str:
    """In a sentence: `p = 0.021`, `p < 0.0001`."""
    return f"p {p_value(p)}" if p < 0.0001 else f"p = {p_value(p)}"


def level(share: float) -> str:
    """A significance level, 0.030396 as 0.0304."""
    return f"{share:.3g}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number:,}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"
