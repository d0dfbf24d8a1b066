from entry import Cycle, build_order


def test_each_target_stands_after_what_it_needs():
    needs = {"app": ["lib", "assets"], "lib": ["core"], "assets": [], "tests": ["app"]}
    assert build_order(needs) == ["assets", "core", "lib", "app", "tests"]


def test_a_circle_is_named():
    path = None
    try:
        build_order({"b": ["a"], "a": ["b"]})
    except Cycle as error:
        path = error.path
    assert path == ["a", "b", "a"]


def test_a_target_that_is_only_mentioned_is_built():
    assert build_order({"z": ["y"]}) == ["y", "z"]
