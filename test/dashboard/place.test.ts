import { describe, expect, it } from "vitest";
import { serverEvents } from "../../dashboard/api/events.js";
import { groupAddress, listAddress, placeOf } from "../../dashboard/place.js";

describe("a place", () => {
  it.each(["a", "a/b", "ü %2F?#&", "..", "/", "a b", "in", "𝒳"])("of the group %j is found again", (id) => {
    expect(placeOf(groupAddress(id))).toEqual({ view: "group", id, parent: null });
    expect(placeOf(groupAddress("child", id))).toEqual({ view: "group", id: "child", parent: id });
  });

  it("of a list is found again, and every other fragment is the overview", () => {
    expect(placeOf(listAddress("timed_out"))).toEqual({ view: "list", list: "timed_out" });
    for (const fragment of ["", "#", "#/", "#/list/constructor", "#/groups/", "#/nowhere/else"]) {
      expect(placeOf(fragment)).toEqual({ view: "overview" });
    }
  });

  it("of an id that no Worker takes still has an address", () => {
    expect(placeOf(groupAddress("half \ud800"))).toEqual({ view: "group", id: "half \ufffd", parent: null });
    expect(placeOf("#/groups/%E0%A4%A")).toEqual({ view: "group", id: "%E0%A4%A", parent: null });
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
