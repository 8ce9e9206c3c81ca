"""The quickstart of README.md. It needs HARBOR_API_KEY, HARBOR_COMMAND_URL and HARBOR_QUERY_URL, as that says."""

import os
import sys
from decimal import Decimal

from harbor_orders_client import Conflict, ConnectionFailed, HarborError, HarborOrders, NewLine, NewOrder

names = ("HARBOR_API_KEY", "HARBOR_COMMAND_URL", "HARBOR_QUERY_URL")
if missing := [name for name in names if not os.environ.get(name)]:
    sys.exit(f"set {', '.join(missing)}: README.md next to this file says how")
try:
    with HarborOrders(
        os.environ["HARBOR_API_KEY"],
        command_url=os.environ["HARBOR_COMMAND_URL"],
        query_url=os.environ["HARBOR_QUERY_URL"],
        max_retries=2,  # the default of 6 outlasts a restart; a demo reports a missing stack sooner
    ) as harbor:
        order = harbor.orders.create("ada@example.com", "EUR", [NewLine("SHIP-BELL", 2, Decimal("19.99"))])
        harbor.orders.authorize(order.id)
        try:
            harbor.orders.set_status(order.id, "pending")
        except Conflict as refused:
            print(refused.code, refused.current_status, "->", *refused.allowed_transitions)
        print(harbor.orders.get(order.id).status, order.total)
        many = [NewOrder("ada@example.com", "EUR", [NewLine("ROPE-10M", number, "7.50")]) for number in range(1, 4)]
        print([str(item.order.total if item.order else item.error) for item in harbor.orders.create_many(many)])
        print(sum(1 for _ in harbor.orders.list(created_from=order.created_at, page_size=2)), "orders listed")
except ConnectionFailed as error:
    sys.exit(f"{error}: does the stack run? make up DETACH=1")
except (HarborError, ValueError) as error:  # a wrong key or address, or a refusal
    sys.exit(f"{error}: README.md next to this file says where the key and the addresses come from")
