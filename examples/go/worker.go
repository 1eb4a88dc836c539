// A worker with Go's standard library alone (1.19 or later). Change `work`; the rest can stay.
//
// Environment, with the defaults:
//
//	HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
//	PORT=5001                    port to listen on
//	ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
//	GROUP=http://127.0.0.1:5000  URL of the group
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	host       = env("HOST", "127.0.0.1")
	port       = env("PORT", "5001")
	group      = env("GROUP", "http://127.0.0.1:5000")
	consumerID = env("ADVERTISED_HOST", host) + ":" + port
)

// BadMessage says that the message is at fault: no other worker gets it, it becomes a dead letter.
type BadMessage string

func (why BadMessage) Error() string { return string(why) }

// work returns the fields of the message's entry. Any error but a BadMessage has another worker try.
func work(message map[string]any) (map[string]any, error) {
	text, isText := message["message_id"].(string)
	if !isText {
		return nil, errors.New("there is no text")
	}
	return map[string]any{"shouted": strings.ToUpper(text)}, nil
}

func parse(body []byte) (map[string]any, error) {
	var message map[string]any
	if err := json.Unmarshal(body, &message); err != nil {
		return nil, BadMessage("this is no JSON object: " + err.Error())
	}
	if _, isText := message["message_id"].(string); !isText {
		return nil, BadMessage("this is no object with a string message_id")
	}
	return message, nil
}

// process answers one message. When it panics, the connection breaks, and another worker tries.
func process(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // The request broke off.
	}
	var entry map[string]any
	message, err := parse(body)
	if err == nil {
		entry, err = work(message)
	}
	var bad BadMessage
	switch {
	case err == nil:
		log.Println("processed", message["message_id"])
		answer(response, http.StatusOK, map[string]any{"entry": entry}) // The group records it, once.
	case errors.As(err, &bad):
		log.Printf("rejected %v: %v", message["message_id"], err)
		answer(response, http.StatusBadRequest, map[string]any{"error": err.Error()})
	default: // A bug or a full disk: no fault of the message.
		log.Printf("failed %v: %v", message["message_id"], err)
		answer(response, http.StatusInternalServerError, map[string]any{"error": err.Error()})
	}
}

func answer(response http.ResponseWriter, status int, content map[string]any) {
	body, err := json.Marshal(content)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the entry cannot be written as JSON"}`)
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	response.Write(body)
}

// groupAgrees calls the group about this worker, and says whether it answers 200.
func groupAgrees(path string) bool {
	body := fmt.Sprintf(`{"consumer_id":%q}`, consumerID)
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Post(group+path, "application/json", bytes.NewBufferString(body))
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func stayRegistered(ending context.Context) {
	for ending.Err() == nil {
		pause := time.Duration(0)
		if groupAgrees("/checkMembership") {
			pause = 10 * time.Second
		} else if groupAgrees("/register") {
			log.Printf("registered %s with %s", consumerID, group)
		} else {
			log.Printf("cannot register with %s, trying again", group)
			pause = time.Second
		}
		select {
		case <-ending.Done():
		case <-time.After(pause):
		}
	}
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	log.SetFlags(0)
	ending, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	http.HandleFunc("/processMessage", process)
	http.HandleFunc("/health", func(response http.ResponseWriter, _ *http.Request) {
		answer(response, http.StatusOK, map[string]any{"message": "Application is running"})
	})
	listener, err := net.Listen("tcp", host+":"+port)
	if err != nil {
		log.Fatal(err)
	}
	var connections sync.WaitGroup
	count := func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed:
			connections.Done()
		}
	}
	// Idle connections are kept for longer than the group keeps them.
	server := http.Server{ConnState: count, IdleTimeout: 20 * time.Second}
	go server.Serve(listener)
	stayRegistered(ending)
	groupAgrees("/unregister")
	listener.Close()
	connections.Wait() // The group closes them. Shutdown could close one on which a message just comes.
}
