// Publishes COUNT messages, some of them one by one, or what is no message where COUNT is 0.
import { Group, GroupError } from "../../clients/node/src/index.js";

const group = new Group(process.env.GROUP);
const count = Number(process.env.COUNT);
if (count === 0) {
  try {
    await group.publish({ text: "no id" });
  } catch (error) {
    console.log(error instanceof GroupError ? `refused: ${error.message}` : error);
    process.exit(1);
  }
}
const messages = Array.from({ length: count }, (_, number) => ({ message_id: String(number), text: "größer" }));
let alone = 0;
for (const message of messages.slice(0, 3)) alone += (await group.publish(message)).created;
const rest = await group.publish(messages);
console.log(`created ${alone} and ${rest.created}, ${rest.duplicate} twice`);
