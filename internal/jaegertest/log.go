// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
)

// maxLog is how many bytes of the end of the log are kept.
const maxLog = 64 << 10

// addresses are the ports of 127.0.0.1 that Jaeger listens on.
type addresses struct{ query, otlpHTTP, otlpGRPC string }

// A log takes what Jaeger writes, and reads where it listens and when it is ready from it:
// no other process can be taken for it, and no port is chosen that may be gone by then. It
// is safe for concurrent use.
type log struct {
	ready chan addresses // takes one, when Jaeger is ready

	mu   sync.Mutex
	at   addresses
	line []byte // begun
	kept []byte
}

// Write implements io.Writer. It does not fail.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, b...)
	if over := len(l.kept) - maxLog; over > 0 {
		l.kept = slices.Delete(l.kept, 0, over)
	}
	l.line = append(l.line, b...)
	for {
		line, rest, ok := bytes.Cut(l.line, []byte("\n"))
		if !ok {
			break
		}
		l.read(line)
		l.line = rest
	}
	return len(b), nil
}

// read takes a line. What is no JSON is the banner, or why Jaeger ends.
func (l *log) read(line []byte) {
	var said struct {
		Msg       string `json:"msg"`
		Component string `json:"otelcol.component.id"`
		Endpoint  string `json:"endpoint"`
		HTTPAddr  string `json:"http_addr"`
	}
	if json.Unmarshal(line, &said) != nil {
		return
	}
	switch {
	case said.Component == "jaeger_query" && said.Msg == "Query server started":
		l.at.query = said.HTTPAddr
	case said.Component == "otlp" && said.Msg == "Starting HTTP server":
		l.at.otlpHTTP = said.Endpoint
	case said.Component == "otlp" && said.Msg == "Starting GRPC server":
		l.at.otlpGRPC = said.Endpoint
	case said.Component == "" && said.Msg == "Everything is ready. Begin running and processing data.":
		select {
		case l.ready <- l.at:
		default: // it was said before
		}
	}
}

// String returns the end of the log.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}
