// Prints what AsyncAPI's parser makes of the document on standard input, as JSON.
import { text } from "node:stream/consumers";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const messages = document ? document.allMessages().all() : [];
console.log(
  JSON.stringify({
    problems: diagnostics.map(({ code, message, path }) => ({ code, message, path: path.join("/") })),
    messages: messages.map((each) => ({
      name: each.id(),
      headers: each.headers().json(),
      payload: each.payload().json(),
    })),
  }),
);
