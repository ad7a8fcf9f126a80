# Says which names match `pattern`: those in the namespace `space` and the builtins, or those of a module, a class or an object. Nothing of
# the user's is called for that.
import builtins, fnmatch, types


def of_type(kind, attribute):
    return type.__dict__[attribute].__get__(kind)


def is_class(value):
    return any(base is type for base in of_type(type(value), "__mro__"))


def names_in(value):
    if type(value) is types.ModuleType:
        return vars(value)
    names = {}
    for base in reversed(of_type(value if is_class(value) else type(value), "__mro__")):
        names.update(of_type(base, "__dict__"))
    return names


*path, last = pattern.split(".")
names = {**vars(builtins), **space}
for part in path:
    names = names_in(names[part])
is_hidden = not last.startswith("_")
names = [name for name in names if type(name) is str and not (is_hidden and name.startswith("_"))]
found = sorted(name for name in names if fnmatch.fnmatchcase(name.lower(), last.lower()))
answer("\n".join(".".join([*path, name]) for name in found))
