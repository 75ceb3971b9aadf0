/* A client of zcmdd in C, with libzmq and jansson. How to run it: ../README.md */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* How long to wait for a message, in milliseconds. It is more than a command may take: one that is
 * not streamed sends nothing until its end. */
enum { PATIENCE_MS = 5000 };

struct client {
    void *socket;
    char token[8193];
    json_int_t last_id;
};

static void die(const char *what, const char *why) {
    fprintf(stderr, "client: %s: %s\n", what, why);
    exit(1);
}

static void check(int status, const char *what) {
    if (status < 0) die(what, zmq_strerror(errno));
}

/* Reads the file that a variable names into `text`, which has room for `size` bytes. */
static void read_file(const char *variable, char *text, size_t size) {
    const char *path = getenv(variable);
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) die(variable, path ? strerror(errno) : "it is not set");
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void set_key(void *socket, int option, const char *key, const char *what) {
    check(zmq_setsockopt(socket, option, key, strlen(key)), what);
}

static void client_connect(struct client *client) {
    const char *server = getenv("ZCMD_SERVER"), *server_key = getenv("ZCMD_SERVER_KEY");
    int patience = PATIENCE_MS, linger = 0;
    read_file("ZCMD_TOKEN_FILE", client->token, sizeof client->token);
    client->token[strcspn(client->token, "\n")] = '\0';
    /* Not ZMQ_REQ, which takes one reply to a request: a stream has many. */
    client->socket = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    client->last_id = 0;
    /* At the end, do not wait for a daemon that is not there. */
    zmq_setsockopt(client->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(client->socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    if (server_key) {
        char keys[128] = "", secret[41] = "", public[41] = "";
        read_file("ZCMD_KEY_FILE", keys, sizeof keys);
        sscanf(keys, "%40s %40s", secret, public);
        set_key(client->socket, ZMQ_CURVE_SERVERKEY, server_key, "ZCMD_SERVER_KEY");
        set_key(client->socket, ZMQ_CURVE_SECRETKEY, secret, "ZCMD_KEY_FILE");
        set_key(client->socket, ZMQ_CURVE_PUBLICKEY, public, "ZCMD_KEY_FILE");
    }
    check(zmq_connect(client->socket, server ? server : "tcp://127.0.0.1:5555"), "ZCMD_SERVER");
}

static json_t *receive(struct client *client) {
    zmq_msg_t message;
    json_error_t error;
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, client->socket, 0) < 0) {
        /* No daemon, a wrong key, or a slow command: do not repeat it blindly. */
        if (errno == EAGAIN) die("no answer in time", "whether it was done is not known");
        die("receive", zmq_strerror(errno));
    }
    /* jansson refuses a number of more than 64 bits, unless it may make a double of it. */
    json_t *reply = json_loadb(zmq_msg_data(&message), zmq_msg_size(&message),
                               JSON_DECODE_INT_AS_REAL, &error);
    if (!reply) die("not JSON", error.text);
    zmq_msg_close(&message);
    return reply;
}

static const char *text(json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    /* Bytes that are not UTF-8 come as base64, under NAME_base64; this program does not ask for any. */
    return text ? text : "";
}

/* Sends a request, which it takes, prints what comes of a stream, and gives the last reply. */
static json_t *ask(struct client *client, json_t *request) {
    json_object_set_new(request, "token", json_string(client->token));
    json_object_set_new(request, "id", json_integer(++client->last_id));
    char *body = json_dumps(request, JSON_COMPACT);
    check(zmq_send(client->socket, body, strlen(body), 0), "send");
    free(body);
    json_decref(request);
    for (;; ) {
        json_t *reply = receive(client);
        double id = json_number_value(json_object_get(reply, "id"));
        int late = id != (double)client->last_id; /* an earlier request was given up */
        if (!late && strcmp(text(reply, "status"), "output") != 0) return reply;
        if (!late) {
            fputs(text(reply, "data"), stdout);
            fflush(stdout);
        }
        json_decref(reply);
    }
}

int main(void) {
    struct client client;
    client_connect(&client);

    /* Maths. The number in `result` has at most 53 bits as a double: `text` has all digits. */
    json_t *reply = ask(&client, json_pack("{s:s, s:s, s:b}", "command_type", "compute",
                                           "expression", "3^50", "text", 1));
    printf("3^50 = %s\n", text(reply, "text"));
    json_decref(reply);

    /* A command that ran, with success or not. One that a signal ended has `signal`. */
    reply = ask(&client, json_pack("{s:s, s:s}", "command_type", "os", "command_name", "check"));
    json_t *ran = json_object_get(reply, "result");
    printf("check: exit status %.0f\n", json_number_value(json_object_get(ran, "exit_code")));
    fputs(text(ran, "stdout"), stdout);
    json_decref(reply);

    /* A request that is refused, and a command that takes longer than it may. */
    json_t *requests[] = {
        json_pack("{s:s, s:s}", "command_type", "os", "command_name", "reboot"),
        json_pack("{s:s, s:s, s:[s], s:i}", "command_type", "os", "command_name", "wait",
                  "parameters", "30", "timeout_ms", 500),
    };
    const char *names[] = {"reboot", "wait"};
    for (int i = 0; i < 2; i++) {
        reply = ask(&client, requests[i]);
        json_t *error = json_object_get(reply, "error");
        int executed = json_is_true(json_object_get(error, "executed"));
        printf("%s: %s, %s\n", names[i], text(error, "code"), executed ? "started" : "not started");
        json_decref(reply);
    }

    /* Output while the command runs. */
    json_decref(ask(&client, json_pack("{s:s, s:s, s:b}", "command_type", "os",
                                       "command_name", "steps", "stream", 1)));
    return 0;
}
