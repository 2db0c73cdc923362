// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-ect/ect/httpect"
)

// largeSize is the size of large bodies in the matrix.
const largeSize = 1 << 20

// inTwo writes a content in two parts, and is in the middle between them.
func inTwo(content []byte) func(http.ResponseWriter, *http.Request, func()) error {
	return func(w http.ResponseWriter, _ *http.Request, middle func()) error {
		if _, err := w.Write(content[:len(content)/2]); err != nil {
			return err
		}
		middle()
		_, err := w.Write(content[len(content)/2:])
		return err
	}
}

// declared writes a content in two parts, whose length it has declared.
func declared(content []byte) func(http.ResponseWriter, *http.Request, func()) error {
	return func(w http.ResponseWriter, r *http.Request, middle func()) error {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		return inTwo(content)(w, r, middle)
	}
}

// nothing answers a status alone.
func nothing(status int) func(http.ResponseWriter, *http.Request, func()) error {
	return func(w http.ResponseWriter, _ *http.Request, middle func()) error {
		w.Header().Set("Etag", `"1"`)
		middle()
		w.WriteHeader(status)
		return nil
	}
}

// events sends one event at a time.
func events(w http.ResponseWriter, _ *http.Request, middle func()) error {
	w.Header().Set("Content-Type", "text/event-stream")
	for n := range 6 {
		if n == 3 {
			middle()
		}
		fmt.Fprintf(w, "data: %d\n\n", n)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	return nil
}

// uploaded reads a large body.
func uploaded(w http.ResponseWriter, r *http.Request, middle func()) error {
	if _, err := io.CopyN(io.Discard, r.Body, largeSize/2); err != nil {
		return err
	}
	middle()
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n != largeSize/2 {
		return fmt.Errorf("the other half has %d bytes, %w", n, err)
	}
	_, err := io.WriteString(w, "stored")
	return err
}

// echo answers while it reads.
func echo(w http.ResponseWriter, r *http.Request, middle func()) error {
	c := http.NewResponseController(w)
	if err := c.EnableFullDuplex(); err != nil && r.ProtoMajor == 1 {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	if _, err := io.CopyN(w, r.Body, 1000); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	middle()
	_, err := io.Copy(w, r.Body)
	return err
}

// upgrade takes the connection over.
func upgrade(w http.ResponseWriter, _ *http.Request, middle func()) error {
	middle()
	c, b, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer c.Close()
	io.WriteString(b, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n") //nolint:errcheck // Flush says it again
	return b.Flush()
}

func rows() []row {
	ten, atBuffer := []byte("0123456789"), bytes.Repeat([]byte("x"), httpect.DefaultResponseBuffer)
	over, large := bytes.Repeat([]byte("y"), httpect.DefaultResponseBuffer+1), bytes.Repeat([]byte("0123456789abcdef"), largeSize/16)
	keep := []httpect.Option{httpect.WithLengthPolicy(httpect.KeepLength)}
	const old = "GET / HTTP/1.0\r\nHost: x\r\nexecution-context: %s\r\n\r\n"
	all := []row{
		{name: "small", handle: inTwo(ten), reply: ten, place: "header"},
		{name: "at the buffer", handle: inTwo(atBuffer), reply: atBuffer, place: "header"},
		{name: "above the buffer", handle: inTwo(over), reply: over, place: "trailer"},
		{name: "no buffer", handle: inTwo(ten), options: buffer(0), reply: ten, place: "trailer"},
		{name: "empty", handle: nothing(200), place: "header"},
		{name: "events", handle: events, reply: []byte("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n"), place: "trailer"},
		{name: "chunked", reply: bytes.Repeat(ten, 10_000), place: "trailer", handle: func(w http.ResponseWriter, _ *http.Request, middle func()) error {
			for n := range 100 {
				if n == 50 {
					middle()
				}
				if _, err := w.Write(bytes.Repeat(ten, 100)); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "a length, dropped, below the buffer", handle: declared(ten), reply: ten, place: "header"},
		{name: "a length, kept, below the buffer", handle: declared(ten), options: keep, reply: ten, place: "header"},
		{name: "a length, dropped, above the buffer", handle: declared(over), reply: over, place: "trailer"},
		{name: "a length, kept, above the buffer", handle: declared(over), options: keep, reply: over, place: "none", http2: "trailer", unsent: true},
		{name: "HEAD", method: "HEAD", handle: declared(ten), place: "header"},
		{name: "HEAD of what is large", method: "HEAD", handle: inTwo(large), place: "header"},
		{name: "204", handle: nothing(204), status: 204, place: "header"},
		{name: "304", handle: nothing(304), status: 304, place: "header"},
		{name: "404", handle: nothing(404), status: 404, place: "header"},
		{name: "1xx, then 200", reply: ten, place: "header", handle: func(w http.ResponseWriter, r *http.Request, middle func()) error {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			return inTwo(ten)(w, r, middle)
		}},
		{name: "download", reply: large, place: "trailer", handle: func(w http.ResponseWriter, _ *http.Request, middle func()) error {
			if _, err := io.Copy(w, bytes.NewReader(large[:largeSize/2])); err != nil {
				return err
			}
			middle()
			_, err := io.Copy(w, readOnly{bytes.NewReader(large[largeSize/2:])})
			return err
		}},
		{name: "upload", method: "PUT", body: large, handle: uploaded, reply: []byte("stored"), place: "header"},
		{name: "upload, chunked", method: "PUT", body: large, chunked: true, handle: uploaded, reply: []byte("stored"), place: "header"},
		{name: "upload, bound", method: "PUT", body: large, bound: true, handle: uploaded, reply: []byte("stored"), place: "header"},
		{name: "upload, chunked, bound", method: "PUT", body: large, chunked: true, bound: true, handle: uploaded, reply: []byte("stored"), place: "header"},
		{name: "upload with trailers", method: "PUT", body: large, chunked: true, bound: true, trailer: http.Header{"X-Sum": {"7"}}, reply: []byte("stored"), place: "header",
			handle: func(w http.ResponseWriter, r *http.Request, middle func()) error {
				err := uploaded(w, r, middle)
				if got := r.Trailer.Get("X-Sum"); err == nil && got != "7" {
					err = fmt.Errorf("X-Sum = %q", got)
				}
				return err
			}},
		{name: "echo", method: "POST", body: large, chunked: true, handle: echo, reply: large, place: "trailer"},
		{name: "echo, bound", method: "POST", body: large, chunked: true, bound: true, handle: echo, reply: large, place: "trailer"},
		{name: "deadlines", reply: ten, place: "header", handle: func(w http.ResponseWriter, r *http.Request, middle func()) error {
			c := http.NewResponseController(w)
			if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				return err
			}
			if err := c.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				return err
			}
			return inTwo(ten)(w, r, middle)
		}},
		{name: "upgrade", proto: http1, raw: strings.Replace(old, "1.0", "1.1", 1), handle: upgrade, status: 101, place: "none", unhashed: true},
		{name: "HTTP/1.0", proto: http1, raw: old, handle: inTwo(ten), reply: ten, place: "header"},
		{name: "HTTP/1.0, large", proto: http1, raw: old, handle: inTwo(over), reply: over, place: "none", unsent: true},
		{name: "HTTP/1.0, a length, large", proto: http1, raw: old, handle: declared(over), reply: over, place: "none", unsent: true},
		{name: "HTTP/1.0, events", proto: http1, raw: old, handle: events, reply: []byte("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n"), place: "none", unsent: true, endless: true},
		{name: "HTTP/1.0, HEAD", proto: http1, method: "HEAD", raw: strings.Replace(old, "GET", "HEAD", 1), handle: inTwo(large), place: "header"},
	}
	for n := range all {
		all[n].method, all[n].status = cmp.Or(all[n].method, http.MethodGet), cmp.Or(all[n].status, http.StatusOK)
	}
	return all
}
