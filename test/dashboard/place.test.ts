import { describe, expect, it } from "vitest";
import { serverEvents } from "../../dashboard/api/events.js";
import { listAddress, overviewAddress, placeOf, subjectAddress } from "../../dashboard/place.js";

const KINDS = ["group", "request"] as const;

describe("a place", () => {
  it.each(["a", "a/b", "ü %2F?#&", "..", "/", "a b", "in", "𝒳"])("of the id %j is found again", (id) => {
    for (const kind of KINDS) expect(placeOf(subjectAddress({ kind, id }))).toEqual({ view: "subject", kind, id });
  });

  it("of a list is found again, and every other fragment is an overview", () => {
    for (const kind of KINDS) {
      expect(placeOf(listAddress("timed_out", kind))).toEqual({ view: "list", kind, list: "timed_out" });
      expect(placeOf(overviewAddress(kind))).toEqual({ view: "overview", kind });
    }
    for (const fragment of ["", "#", "#/", "#/list/constructor", "#/groups/", "#/nowhere"]) {
      expect(placeOf(fragment)).toEqual({ view: "overview", kind: "group" });
    }
    // Requests take no policy, so none is listed as failed: the page shows the lists that requests have.
    for (const fragment of ["#/list/failed/requests", "#/list/nothing/requests", "#/requests/"]) {
      expect(placeOf(fragment)).toEqual({ view: "overview", kind: "request" });
    }
  });

  it("of an id that no Worker takes still has an address", () => {
    const id = "half \ufffd";
    expect(placeOf(subjectAddress({ kind: "group", id: "half \ud800" }))).toEqual({
      view: "subject",
      kind: "group",
      id,
    });
    expect(placeOf("#/groups/%E0%A4%A")).toEqual({ view: "subject", kind: "group", id: "%E0%A4%A" });
  });
});

describe("the events of a stream", () => {
  const streamOf = (chunks: readonly string[]): ReadableStream<Uint8Array> => {
    const encoder = new TextEncoder();
    return new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
        controller.close();
      },
    });
  };

  it("are read however the text is cut, without comments and half events", async () => {
    const text =
      ':\n\nretry: 1000\n\nevent: progress\nid: 1.2\ndata: {"a":"ü"}\n\n:\n\nevent: completed\nid: 1.3\ndata: {}\n\nevent: half';
    for (const size of [1, 7, 1_000]) {
      const chunks = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      const events = [];
      for await (const event of serverEvents(streamOf(chunks))) events.push(event);
      expect(events).toEqual([
        { name: "progress", id: "1.2", data: '{"a":"ü"}' },
        { name: "completed", id: "1.3", data: "{}" },
      ]);
    }
  });
});
