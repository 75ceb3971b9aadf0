// A client of zcmdd in Go, with libzmq by cgo and no other module. How to run it: ../README.md
package main

// #cgo LDFLAGS: -lzmq
// #include <zmq.h>
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// How long to wait for a message, in milliseconds. It is more than a command may take: one that is
// not streamed sends nothing until its end.
const patienceMs = 5000

type fields map[string]any

// Reply has what this program reads. Result is a number for maths, and Ran for a command. Output
// that is not UTF-8 comes as base64.
type Reply struct {
	ID                 int
	Status, Text, Data string
	DataBase64         []byte `json:"data_base64"`
	Result             json.RawMessage
	Error              *Refused
}

// Ran tells how a command ran. ExitCode is missing if a signal ended it.
type Ran struct {
	ExitCode     *int `json:"exit_code"`
	Stdout       string
	StdoutBase64 []byte `json:"stdout_base64"`
}

// Refused is an error that the daemon answers. Executed tells whether any of a command ran.
type Refused struct {
	Code, Message string
	Executed      bool
}

func (refused *Refused) Error() string { return refused.Message }

// Client is a connection, for one goroutine at a time.
type Client struct {
	socket unsafe.Pointer
	token  string
	lastID int
}

// Connect takes the daemon's public key, the own secret key and the own public key, or no keys.
func Connect(server, token string, keys ...string) (*Client, error) {
	// Not ZMQ_REQ, which takes one reply to a request: a stream has many.
	client := &Client{socket: C.zmq_socket(C.zmq_ctx_new(), C.ZMQ_DEALER), token: token}
	linger, patience := C.int(0), C.int(patienceMs)
	C.zmq_setsockopt(client.socket, C.ZMQ_LINGER, unsafe.Pointer(&linger), C.sizeof_int)
	C.zmq_setsockopt(client.socket, C.ZMQ_RCVTIMEO, unsafe.Pointer(&patience), C.sizeof_int)
	options := []C.int{C.ZMQ_CURVE_SERVERKEY, C.ZMQ_CURVE_SECRETKEY, C.ZMQ_CURVE_PUBLICKEY}
	for i, key := range keys {
		text := append([]byte(key), 0)
		start, length := unsafe.Pointer(&text[0]), C.size_t(len(key))
		if status, err := C.zmq_setsockopt(client.socket, options[i], start, length); status < 0 {
			return nil, fmt.Errorf("CURVE key: %w", err)
		}
	}
	address := append([]byte(server), 0)
	if status, err := C.zmq_connect(client.socket, (*C.char)(unsafe.Pointer(&address[0]))); status < 0 {
		return nil, fmt.Errorf("%s: %w", server, err)
	}
	return client, nil
}

func (client *Client) receive() (reply Reply, err error) {
	var message C.zmq_msg_t
	C.zmq_msg_init(&message)
	defer C.zmq_msg_close(&message)
	for {
		size, err := C.zmq_msg_recv(&message, client.socket, 0)
		if size >= 0 {
			body := C.GoBytes(C.zmq_msg_data(&message), size)
			return reply, json.Unmarshal(body, &reply)
		} else if errors.Is(err, syscall.EAGAIN) {
			// No daemon, a wrong key, or a slow command: do not repeat it blindly.
			return reply, errors.New("no answer in time; whether it was done is not known")
		} else if !errors.Is(err, syscall.EINTR) { // the runtime of Go sends signals to itself
			return reply, err
		}
	}
}

// Ask sends a request and returns its last reply; an error may be a *Refused.
func (client *Client) Ask(commandType string, request fields, onOutput func([]byte)) (Reply, error) {
	client.lastID++
	request["command_type"], request["token"], request["id"] = commandType, client.token, client.lastID
	body, err := json.Marshal(request)
	if err != nil {
		return Reply{}, err
	}
	if sent, err := C.zmq_send(client.socket, unsafe.Pointer(&body[0]), C.size_t(len(body)), 0); sent < 0 {
		return Reply{}, err
	}
	for {
		reply, err := client.receive()
		switch {
		case err != nil:
			return reply, err
		case reply.ID != client.lastID: // late: an earlier request was given up
		case reply.Status == "output":
			onOutput(append([]byte(reply.Data), reply.DataBase64...)) // one of the two is there
		case reply.Status == "error":
			return reply, reply.Error
		default:
			return reply, nil
		}
	}
}

func run() error {
	token, err := os.ReadFile(os.Getenv("ZCMD_TOKEN_FILE"))
	if err != nil {
		return err
	}
	server, keys := os.Getenv("ZCMD_SERVER"), []string(nil)
	if server == "" {
		server = "tcp://127.0.0.1:5555"
	}
	if serverKey := os.Getenv("ZCMD_SERVER_KEY"); serverKey != "" {
		own, err := os.ReadFile(os.Getenv("ZCMD_KEY_FILE"))
		if err != nil {
			return err
		}
		keys = append([]string{serverKey}, strings.Fields(string(own))...)
	}
	client, err := Connect(server, strings.TrimSpace(string(token)), keys...)
	if err != nil {
		return err
	}

	// Maths. 3^50 fits no integer of Go: Text has all digits, for math/big or for people.
	reply, err := client.Ask("compute", fields{"expression": "3^50", "text": true}, nil)
	if err != nil {
		return err
	}
	fmt.Println("3^50 =", reply.Text)

	// A command that ran, with success or not.
	reply, err = client.Ask("os", fields{"command_name": "check"}, nil)
	if err != nil {
		return err
	}
	var ran Ran
	if err := json.Unmarshal(reply.Result, &ran); err != nil {
		return err
	}
	if ran.ExitCode != nil {
		fmt.Println("check: exit status", *ran.ExitCode)
	}
	os.Stdout.Write(append([]byte(ran.Stdout), ran.StdoutBase64...))

	// A request that is refused, and a command that takes longer than it may.
	for _, request := range []fields{
		{"command_name": "reboot"},
		{"command_name": "wait", "parameters": []string{"30"}, "timeout_ms": 500},
	} {
		_, err := client.Ask("os", request, nil)
		var refused *Refused
		if !errors.As(err, &refused) {
			return err
		}
		done := map[bool]string{true: "started", false: "not started"}[refused.Executed]
		fmt.Printf("%v: %s, %s\n", request["command_name"], refused.Code, done)
	}

	// Output while the command runs.
	write := func(data []byte) { os.Stdout.Write(data) }
	_, err = client.Ask("os", fields{"command_name": "steps", "stream": true}, write)
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}
