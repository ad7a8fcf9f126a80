# Says what is known of `name` in the namespace `space`; with `detail`, its source, too. Nothing of the user's is called for that, as
# it could take long, fail, or do something: attributes are looked up statically, and values are shown as far as that is known to be safe.
import builtins, inspect, itertools, sys, types

MISSING = object()
FUNCTIONS = [
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodDescriptorType, types.MethodWrapperType,
    types.WrapperDescriptorType, types.ClassMethodDescriptorType, type(__import__("functools").lru_cache()(len)),
]
SIMPLE = [type(None), bool, float, complex, range, type(...), type(NotImplemented)]
CONTAINERS = {list: "[%s]", tuple: "(%s)", set: "{%s}", frozenset: "frozenset({%s})", dict: "{%s}"}
# Modules whose values have texts of their own.
KNOWN = ["datetime", "decimal", "fractions", "numpy", "pathlib", "uuid"]


def of_type(kind, attribute):
    return type.__dict__[attribute].__get__(kind)


# Classes may be equal to anything.
def is_one_of(kind, kinds):
    return any(kind is it for it in kinds)


def is_class(value):
    return is_one_of(type, of_type(type(value), "__mro__"))


def is_module(value):
    return is_one_of(types.ModuleType, of_type(type(value), "__mro__"))


def entry(kind, attribute):
    for base in of_type(kind, "__mro__"):
        found = of_type(base, "__dict__").get(attribute, MISSING)
        if found is not MISSING:
            return found
    return MISSING


def find(value, attribute):
    """What has that name in an object and its classes, and whether it is the object's own; as `inspect.getattr_static`, which asks
    metaclasses."""
    of_kind = entry(type(value), attribute)
    if is_class(value):
        own = entry(value, attribute)
    else:
        names = entry(type(value), "__dict__")
        has_names = is_one_of(type(names), [types.GetSetDescriptorType, types.MemberDescriptorType])
        own = dict.get(names.__get__(value), attribute, MISSING) if has_names else MISSING
        if of_kind is not MISSING and entry(type(of_kind), "__set__") is not MISSING:
            own = MISSING
    return (of_kind, False) if own is MISSING else (own, True)


def attribute_of(value, attribute):
    """An attribute, or what would compute it."""
    found, is_own = find(value, attribute)
    if found is MISSING:
        raise AttributeError(attribute)
    kind = type(found)
    if is_own and not is_class(value):
        return found
    instance, owner = (None, value) if is_own else (value, type(value))
    if kind is staticmethod:
        return found.__func__
    if kind is classmethod:
        function = found.__func__
        return types.MethodType(function, owner) if type(function) is types.FunctionType else function
    if kind is types.ClassMethodDescriptorType:
        return found.__get__(None, owner)
    if instance is not None and kind is types.FunctionType:
        return types.MethodType(found, instance)
    is_simple = is_one_of(kind, [types.MethodDescriptorType, types.WrapperDescriptorType, types.MemberDescriptorType])
    if kind is types.GetSetDescriptorType:
        is_simple = of_type(found.__objclass__, "__module__") == "builtins"
    return found.__get__(instance, owner) if instance is not None and is_simple else found


class Text:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def shown(value, depth=4):
    kind = type(value)
    if is_one_of(kind, SIMPLE):
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() < 8000 else "<int of %d bits>" % value.bit_length()
    if is_one_of(kind, [str, bytes, bytearray]):
        return repr(value) if len(value) <= 2000 else repr(value[:2000]) + "..."
    if is_one_of(kind, CONTAINERS) and depth:
        items = list(itertools.islice(value.items() if kind is dict else value, 101))
        if kind is dict:
            parts = ["%s: %s" % (shown(key, depth - 1), shown(it, depth - 1)) for key, it in items[:100]]
        else:
            parts = [shown(it, depth - 1) for it in items[:100]]
        if not parts:
            return repr(kind())
        if len(items) > 100:
            parts.append("...")
        elif kind is tuple and len(parts) == 1:
            parts.append("")
        return CONTAINERS[kind] % ", ".join(parts).rstrip(" ")
    if is_class(value):
        return type.__repr__(value)
    if is_module(value):
        return "<module %r>" % (types.ModuleType.__dict__["__dict__"].__get__(value).get("__name__"),)
    if is_one_of(kind, FUNCTIONS[:2]):
        return repr(value)
    if is_known(kind) and not (hasattr(value, "dtype") and value.dtype.hasobject):
        return repr(value)
    return object.__repr__(value)


def is_known(kind):
    module = of_type(kind, "__module__")
    return type(kind) is type and type(module) is str and module.split(".")[0] in KNOWN


def is_safe(value):
    """Whether `inspect` calls nothing to learn of it."""
    for _ in range(100):
        while type(value) is types.MethodType:
            value = value.__func__
        if is_class(value):
            is_odd = entry(type(value), "__getattribute__") is not entry(type, "__getattribute__")
            is_odd |= entry(type(value), "__getattr__") is not MISSING
            if is_odd and of_type(type(value), "__module__") not in ("abc", "enum"):
                return False
            if not all(is_one_of(type(entry(value, it)), [*FUNCTIONS, staticmethod]) for it in ("__new__", "__init__")):
                return False
        elif not is_one_of(type(value), FUNCTIONS):
            return False
        signature = find(value, "__signature__")[0]
        if signature is not MISSING and type(signature) is not inspect.Signature:
            return False
        value = find(value, "__wrapped__")[0]
        if value is MISSING:
            return True
    return False


def has_file(value):
    if type(value) is types.ModuleType:
        return "__file__" in vars(value)
    return is_safe(value)


def signature_of(value):
    if not is_class(value) and not is_one_of(type(value), FUNCTIONS):
        call = entry(type(value), "__call__")
        if type(call) is not types.FunctionType:
            return None
        value = types.MethodType(call, value)
    if not is_safe(value):
        return None
    how = {}
    if sys.version_info >= (3, 14):
        import annotationlib

        how["annotation_format"] = annotationlib.Format.STRING
    try:
        signature = inspect.signature(value, **how)
    except (TypeError, ValueError):
        return None
    empty = inspect.Parameter.empty

    def written(annotation):
        kind = type(annotation)
        is_written = annotation is empty or kind is str or kind is type or of_type(kind, "__module__") in ("typing", "types")
        return annotation if is_written else Text(shown(annotation))

    parameters = [
        it.replace(
            default=empty if it.default is empty else Text(shown(it.default)),
            annotation=written(it.annotation),
        )
        for it in signature.parameters.values()
    ]
    signature = signature.replace(parameters=parameters, return_annotation=written(signature.return_annotation))
    return str(signature)


def documentation_of(value):
    try:
        text = attribute_of(value, "__doc__")
    except AttributeError:
        return None
    return inspect.cleandoc(text) if type(text) is str else None


first, *rest = name.split(".")
value = space[first] if first in space else vars(builtins)[first]
namesakes = []
for part in rest:
    # Those of the classes that this one overrides may say more.
    bases = of_type(value if is_class(value) else type(value), "__mro__")
    namesakes = [of_type(base, "__dict__")[part] for base in bases if part in of_type(base, "__dict__")]
    value = attribute_of(value, part)
kind = type(value)
is_computed = bool(rest) and entry(kind, "__get__") is not MISSING and not is_one_of(kind, FUNCTIONS)
said = []
signature = signature_of(value)
if signature is not None:
    said.append("Signature: " + name + signature)
is_documented = True
if is_computed:
    said.append("Value: (computed when it is read)")
elif not callable(value):
    text = shown(value)
    is_documented = text.startswith("<")
    said.append("Value: " + (text if len(text) < 2000 else text[:2000] + "..."))
said.append("Type: " + of_type(kind, "__qualname__"))
# That of a property is that of its function.
code = value.fget if kind is property else value
source = None
if has_file(code):
    try:
        source = inspect.getsource(code) if detail else None
    except (OSError, TypeError):
        pass
    try:
        said.append("File: " + inspect.getfile(code))
    except (OSError, TypeError):
        pass
if source:
    said.append("Source:\n" + source)
elif is_documented:
    found = filter(None, map(documentation_of, [value, *namesakes]))
    said.append("Docstring:\n" + next(found, "<none>"))
answer("\n".join(said))
