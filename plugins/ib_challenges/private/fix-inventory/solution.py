from decimal import ROUND_HALF_UP, Decimal


class Inventory:
    def __init__(self, stock=None):
        self.stock = dict(stock or {})
        self.prices = {}
        self.reserved = {}

    @staticmethod
    def _require(quantity):
        if quantity < 1:
            raise ValueError(f"a quantity is at least 1, not {quantity}")

    def add(self, product, quantity, price):
        self._require(quantity)
        self.stock[product] = self.stock.get(product, 0) + quantity
        self.prices[product] = Decimal(price)

    def available(self, product):
        held = sum(items.get(product, 0) for items in self.reserved.values())
        return self.stock.get(product, 0) - held

    def reserve(self, order, product, quantity):
        self._require(quantity)
        if self.available(product) < quantity:
            return False
        items = self.reserved.setdefault(order, {})
        items[product] = items.get(product, 0) + quantity
        return True

    def cancel(self, order):
        self.reserved.pop(order, None)

    def ship(self, order):
        items = self.reserved.pop(order, {})
        for product, quantity in items.items():
            self.stock[product] -= quantity
        return items

    def sell(self, product, quantity):
        self._require(quantity)
        if self.available(product) < quantity:
            return False
        self.stock[product] -= quantity
        return True

    def to_reorder(self, minimum):
        return sorted(product for product in self.stock if self.available(product) < minimum)

    def value(self):
        total = sum(
            (self.stock[p] * self.prices.get(p, Decimal(0)) for p in self.stock), Decimal(0)
        )
        return total.quantize(Decimal("0.01"), ROUND_HALF_UP)
