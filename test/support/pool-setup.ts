/**
 * The pool wraps the prototype of a Durable Object's class in one more proxy for every object that it makes, so each call to an
 * object took longer the more objects a file had made. Here the first proxy stays the only one.
 */
const WRAPPED = new WeakSet<object>();
const Native = globalThis.Proxy;

function wrapsPrototype({ get }: ProxyHandler<object>): boolean {
  return get?.toString().includes("getUnknownPrototypeKey") === true;
}

globalThis.Proxy = new Native(Native, {
  construct(target, [object, handler]: [object, ProxyHandler<object>]) {
    if (WRAPPED.has(object)) return object;
    const proxy = Reflect.construct(target, [object, handler]) as object;
    if (wrapsPrototype(handler)) WRAPPED.add(proxy);
    return proxy;
  },
});
