import { useRef } from "hono/jsx/dom";
import { useEffect } from "../lifetime.js";

/**
 * The heading of a view. It takes the focus when the view opens, so that a screen reader reads it and Tab continues there.
 *
 * @param name the name in the window's title; the heading's text where it is missing.
 */
export function Heading({ name, children }: { readonly name: string; readonly children?: unknown }) {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${name} – edge-coordinator`;
    ref.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [name]);
  return (
    <h1 tabIndex={-1} ref={ref}>
      {(children ?? name) as string}
    </h1>
  );
}
