"""How problems are shown."""

from gatewright.config.problems import ConfigError, ConfigProblem
from gatewright.config.tree import Place


def test_problems_are_shown_in_the_files_order():
    """From top to bottom, as they are mended."""
    error = ConfigError(
        "g.yaml",
        (
            ConfigProblem(place=Place(9, 1), path=("b",), message="second"),
            ConfigProblem(place=Place(2, 5), path=("a", 0), message="first"),
            ConfigProblem(place=Place(1, 1), message="the whole"),
        ),
    )
    assert str(error) == "g.yaml:1:1 the whole\ng.yaml:2:5 a[0]: first\ng.yaml:9:1 b: second"
