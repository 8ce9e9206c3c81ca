"""`python -m harbor_orders_client`: the same as `harbor-orders`."""

import sys

from harbor_orders_client.importing.command_line import main

sys.exit(main())
