from haulier.core.recent import Recent


def test_what_nobody_used_for_longest_is_forgotten():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert ["a" in recent, "b" in recent, "c" in recent] == [True, False, True]
    recent.put("a", 4)
    recent.put("d", 5)
    assert [recent.get(key) for key in "abcd"] == [4, None, None, 5]
    assert len(recent) == 2
    assert recent.pop("a") == 4
    assert recent.pop("a") is None
