// Publishes one request with kafkajs: node publish.js BROKER structured|binary JOB_ID DATASET TARGET
const { Kafka, logLevel } = require("kafkajs");

const [broker, mode, jobId, dataset, target] = process.argv.slice(2);
const topic = "omniscope.ml.automl.requested";
const data = { dataset_id: dataset, target_column: target, time_limit: 20, quality: "medium_quality" };
const attributes = {
  specversion: "1.0",
  id: `kafkajs-${jobId}`,
  source: "kafkajs-test",
  type: "ai.omniscope.ml.automl.requested.v1",
  subject: jobId,
  time: new Date().toISOString(),
};

function structured() {
  return {
    headers: { "content-type": "application/cloudevents+json" },
    value: JSON.stringify({ ...attributes, datacontenttype: "application/json", data }),
  };
}

function binary() {
  const headers = { "content-type": "application/json" };
  for (const [name, value] of Object.entries(attributes)) headers[`ce_${name}`] = value;
  return { headers, value: JSON.stringify(data) };
}

async function main() {
  const producer = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  await producer.send({ topic, messages: [{ key: jobId, ...(mode === "binary" ? binary() : structured()) }] });
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
