from decimal import Decimal


class Inventory:
    def __init__(self, stock={}):
        self.stock = stock
        self.prices = {}
        self.reserved = {}

    def add(self, product, quantity, price):
        self.stock[product] = self.stock.get(product, 0) + quantity
        self.prices[product] = float(price)

    def available(self, product):
        held = sum(items.get(product, 0) for items in self.reserved.values())
        return self.stock.get(product, 0) - held

    def reserve(self, order, product, quantity, items={}):
        if self.available(product) < quantity:
            return False
        items[product] = quantity
        self.reserved[order] = items
        return True

    def cancel(self, order):
        for product, quantity in self.reserved.get(order, {}).items():
            self.stock[product] += quantity
        self.reserved.pop(order, None)

    def ship(self, order):
        items = self.reserved.get(order, {})
        for product, quantity in items.items():
            self.stock[product] -= quantity
        return items

    def sell(self, product, quantity):
        if self.stock.get(product, 0) < quantity:
            return False
        self.stock[product] -= quantity
        return True

    def to_reorder(self, minimum):
        return sorted(p for p in self.stock if self.stock[p] <= minimum)

    def value(self):
        return Decimal(sum(self.stock[p] * self.prices[p] for p in self.stock))
