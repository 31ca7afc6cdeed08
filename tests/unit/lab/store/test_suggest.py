"""What is said when a name is not known."""

from lab.store.suggest import known_names


def test_the_closest_name_comes_first():
    assert known_names("bord", ["ada", "board"], "device") == "did you mean 'board'? known devices: ada, board"


def test_without_a_close_one_the_names_are_listed():
    assert known_names("xyz", ["ada", "board"], "device") == "known devices: ada, board"


def test_a_long_list_is_cut():
    text = known_names("xyz", [f"board-{at}" for at in range(100)], "device")
    assert text.endswith("board-11, …")


def test_nothing_known_is_said():
    assert known_names("xyz", [], "campaign") == "there are no campaigns yet"
