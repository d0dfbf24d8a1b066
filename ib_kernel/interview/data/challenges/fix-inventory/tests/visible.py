from decimal import Decimal

from entry import Inventory


def filled():
    shop = Inventory()
    shop.add("mug", 10, "2.50")
    shop.add("pen", 3, "0.10")
    return shop


def test_a_cancelled_reservation_leaves_the_stock_as_it_was():
    shop = filled()
    shop.reserve("A", "mug", 4)
    shop.cancel("A")
    assert shop.available("mug") == 10


def test_what_is_reserved_is_not_sold():
    shop = filled()
    shop.reserve("A", "pen", 2)
    assert shop.sell("pen", 2) is False


def test_the_value_is_exact():
    assert filled().value() == Decimal("25.30")
