import re


def reconcile(invoices, payments):
    left = {invoice["number"].upper(): invoice for invoice in invoices}
    matched = {}

    def named(payment):
        words = re.findall(r"[\w-]+", payment["text"].upper())
        return list(dict.fromkeys(word.strip("-") for word in words if word.strip("-") in left))

    def take(position, keys):
        matched[position] = [left.pop(key)["number"] for key in keys]

    for position, payment in enumerate(payments):
        found = named(payment)
        if len(found) == 1 and left[found[0]]["cents"] == payment["cents"]:
            take(position, found)
    for position, payment in enumerate(payments):
        if position in matched:
            continue
        payer = payment["payer"].strip().lower()
        fits = [
            (invoice["due"], invoice["number"], key)
            for key, invoice in left.items()
            if invoice["customer"].strip().lower() == payer and invoice["cents"] == payment["cents"]
        ]
        if fits:
            take(position, [min(fits)[2]])
    for position, payment in enumerate(payments):
        found = [] if position in matched else named(payment)
        if len(found) > 1 and sum(left[key]["cents"] for key in found) == payment["cents"]:
            take(position, found)
    return {
        "matched": [(payments[p]["id"], matched[p]) for p in sorted(matched)],
        "unmatched": [payment["id"] for p, payment in enumerate(payments) if p not in matched],
        "open": sorted(invoice["number"] for invoice in left.values()),
    }
