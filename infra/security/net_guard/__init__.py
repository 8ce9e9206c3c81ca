"""Where this installation may connect on a partner's behalf: the one URL parser and the one address deny table.

`target.parse_target` parses a URL when an endpoint is saved and again when it is dialled, so no second parser can find
another host in it. `addresses.deny_reason` checks every address a name resolves to, at the moment of connecting.
"""
