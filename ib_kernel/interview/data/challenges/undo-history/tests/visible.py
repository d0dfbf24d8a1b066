from entry import Document


def test_a_change_is_undone_and_redone():
    doc = Document("Hello")
    doc.insert(5, " world")
    doc.delete(0, 1)
    seen = [doc.text, doc.undo(), doc.text, doc.redo(), doc.text]
    assert seen == ["ello world", True, "Hello world", True, "ello world"]


def test_with_nothing_to_undo_it_says_so():
    assert [Document("a").undo(), Document("a").redo()] == [False, False]


def test_letters_typed_one_by_one_are_one_step():
    doc = Document()
    for place, letter in enumerate("word"):
        doc.insert(place, letter)
    doc.undo()
    assert doc.text == ""
