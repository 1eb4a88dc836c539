//! Functional tests: the real services as processes, a real Redis, real sockets.
//!
//! One file a behaviour; the name of a test is the claim it checks. `harness` holds the verbs.

mod documents;
mod readme;
mod tidy;
mod workflows;

mod check_config;
mod settings;
mod settings_file;
mod settings_hosts;
mod settings_numbers;
mod settings_redis;
mod settings_refused;
mod settings_values;

mod concurrency;
mod health_check;
mod joining;
mod kubernetes;
mod membership_list;
mod membership_names;
mod membership_slots;
mod metrics;
mod monitoring;
mod register;
mod registration;

mod poison;
mod positions;
mod process_message;
mod process_message_errors;
mod process_messages;
mod pull_chunks;
mod pull_poison;
mod pull_service;
mod pull_share;
mod rust_worker;
mod verdicts;

mod commit;
mod commit_refused;
mod commit_windows;

mod answered_entries;
mod answers;
mod api_docs;
mod api_docs_page;
mod bad_input;
mod batches;
mod blame;
mod blocked_log;
mod buffer;
mod clients;
mod closed_output;
mod dead_letters;
mod dead_letters_chunks;
mod dead_letters_cli;
mod dead_letters_replay;
mod delivery;
mod escapes;
mod hostile_clients;
mod idle_connections;
mod large_entries;
mod large_messages;
mod late_answers;
mod late_binding;
mod leases;
mod leases_outlive;
mod leases_refused;
mod logs;
mod lost_end;
mod network_consumer;
mod network_redis;
mod odd_json;
mod original_contract;
mod own_faults;
mod publish_api;
mod publish_pace;
mod publisher;
mod publisher_values;
mod readiness;
mod refusals;
mod requirements;
mod retry;
mod schemathesis;
mod server_warnings;
mod silent_connections;
mod spans;
mod status;
mod throughput;
mod trace_context;
mod unanswered_names;

mod operations;
mod packages;

mod example_publishers;
mod example_workers;

mod emptied_queue;
mod queue_account;
mod queue_kills;
mod queue_malformed;
mod queue_redis;
mod queue_shared;

mod dashboard;
mod dashboard_api;
mod dashboard_outage;
mod dashboard_replay;
mod dashboard_view;

mod conservation;
mod self_healing;
mod shutdown;
mod shutdown_consumer;
mod signals;
