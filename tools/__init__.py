"""Commands for maintainers of this project; `versions` is for users of the module as well."""
