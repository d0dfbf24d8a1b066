from entry import Inventory


def _shop():
    shop = Inventory()
    for number, (name, price) in enumerate(
        (("mug", "2.50"), ("pen", "0.10"), ("rug", "59.99"), ("tea", "3.33"))
    ):
        shop.add(name, 7 + 3 * number, price)
    return shop


def _seen(shop):
    return [[name, shop.available(name)] for name in ("mug", "pen", "rug", "tea", "none")] + [
        str(shop.value())
    ]


def run_cancelling():
    shop = _shop()
    shop.reserve("A", "mug", 5)
    shop.reserve("A", "mug", 2)
    first = _seen(shop)
    shop.cancel("A")
    shop.cancel("A")
    return [first, _seen(shop)]


def run_orders_are_apart():
    shop = _shop()
    shop.reserve("A", "mug", 1)
    shop.reserve("B", "pen", 2)
    shop.reserve("B", "rug", 3)
    return [shop.ship("A"), shop.ship("B"), shop.ship("B"), shop.ship("unknown"), _seen(shop)]


def run_shops_are_apart():
    one, two = _shop(), _shop()
    one.sell("mug", 3)
    two.add("new", 1000, "1.00")
    return [_seen(one), _seen(two), Inventory().to_reorder(99999)]


def run_not_enough():
    shop = _shop()
    told = [
        shop.reserve("A", "tea", 16),
        shop.reserve("B", "tea", 1),
        shop.sell("tea", 1),
        shop.reserve("A", "tea", 1),
    ]
    shop.ship("A")
    return [told, _seen(shop), shop.sell("tea", 1), shop.reserve("A", "none", 1)]


def run_reordering():
    shop = _shop()
    shop.reserve("A", "rug", 9)
    return [shop.to_reorder(n) for n in (4, 5, 7, 8, 11, 100)]


def run_value():
    shop = _shop()
    shop.add("pen", 1_000_003, "0.07")
    shop.add("rug", 3, "1.005")
    return [str(shop.value()), str(Inventory().value())]


def run_small_quantities():
    told = []
    shop = _shop()
    for call in (
        lambda: shop.add("mug", 0, "1"),
        lambda: shop.reserve("A", "mug", -2),
        lambda: shop.sell("mug", 0),
    ):
        try:
            told.append(call())
        except ValueError:
            told.append("ValueError as asked")
    return [told, _seen(shop)]
