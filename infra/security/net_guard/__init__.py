"""Where this installation may connect on a partner's behalf: the one URL parser and the one address deny table.

`target.parse_target` reads a URL when an endpoint is saved and again when it is dialled, so that no second parser can
see another host in it. `addresses.deny_reason` judges every address a name resolved to, at the moment of connecting.
"""
