from entry import free_slots, rooms_needed


def test_meetings_one_after_the_other_share_a_room():
    assert rooms_needed([(540, 600), (600, 660)]) == 1


def test_three_at_once_need_three_rooms():
    assert rooms_needed([(540, 700), (550, 600), (560, 590)]) == 3


def test_a_morning_with_one_meeting_has_two_free_stretches():
    assert free_slots([(600, 630)], 540, 720, 30) == [(540, 600), (630, 720)]
