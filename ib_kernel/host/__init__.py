"""The other side: a host that holds the key, the prompts, the challenges and the ledger.

`ib_kernel.host.app` serves it (extra ``[host]``); what needs no server (`invite`, `address`, `tokens`) can be
imported without it.
"""
