import type { Finding } from "../../cli/report/explanation.js";

/** The facts of `npx edge-coordinator why`, in the same words. */
export function Facts({ findings }: { readonly findings: readonly Finding[] }) {
  if (findings.length === 0) return null;
  return (
    <section aria-labelledby="why">
      <h2 id="why">Why</h2>
      <dl class="facts-list">
        {topicsOf(findings).map(({ topic, texts }) => (
          <div key={topic}>
            <dt>{topic}</dt>
            {texts.map((text) => (
              <dd>{text}</dd>
            ))}
          </div>
        ))}
      </dl>
    </section>
  );
}

function topicsOf(findings: readonly Finding[]): { topic: string; texts: string[] }[] {
  const topics = new Map<string, string[]>();
  for (const { topic, text } of findings) topics.set(topic, [...(topics.get(topic) ?? []), text]);
  return [...topics].map(([topic, texts]) => ({ topic, texts }));
}
