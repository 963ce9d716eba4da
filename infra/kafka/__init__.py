from .any_header_names import tolerate_any_header_names

tolerate_any_header_names()
