// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Header implements http.ResponseWriter. Who took the connection over may write what was
// copied here itself, as httputil.ReverseProxy does, and so finds no token of others.
func (rw *response) Header() http.Header {
	h := rw.w.Header()
	if rw.hijacked {
		strip(h)
	}
	return h
}

// WriteHeader implements http.ResponseWriter.
func (rw *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		rw.w.WriteHeader(status) // net/http's own way to say what is wrong with it
		return
	case rw.hijacked || rw.status != 0:
		return // net/http logs a superfluous call and goes on; so do we, without the log
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		strip(rw.w.Header())
		rw.w.WriteHeader(status)
		return
	}
	rw.decide(status)
}

// decide fixes status and header, once.
func (rw *response) decide(status int) {
	if rw.status != 0 {
		return
	}
	rw.status = status
	if !rw.waits() {
		rw.passes = true
		if declared := rw.w.Header()["Content-Length"]; len(declared) > 0 {
			rw.length = ownLength(declared[0])
		} else {
			rw.length = -1
		}
		rw.settle()
		rw.begin()
		return
	}
	rw.header = new(snapshot)
	rw.header.take(rw.w.Header())
	rw.length = ownLength(rw.header.first("Content-Length"))
}

// ownLength returns the length that a handler declared, -1 if it did not, or not one that
// net/http would keep.
func ownLength(field string) int64 {
	if field == "" {
		return -1
	}
	if n, err := strconv.ParseInt(field, 10, 64); err == nil && n >= 0 {
		return n
	}
	return -1
}

// waits tells whether the header has to wait: for the token of a task, or for the end of
// a body that may differ, or be cut short in its envelope.
func (rw *response) waits() bool {
	x := rw.x
	return x.Task() != nil || x.body != nil && (x.inBody || x.want().Present)
}

// Write implements http.ResponseWriter.
func (rw *response) Write(p []byte) (int, error) { return write(rw, p) }

// WriteString implements io.StringWriter.
func (rw *response) WriteString(s string) (int, error) { return write(rw, s) }

func write[T []byte | string](rw *response, p T) (int, error) {
	if rw.hijacked {
		return 0, http.ErrHijacked
	}
	rw.decide(http.StatusOK)
	switch {
	case len(p) == 0:
		return 0, nil
	case !bodyAllowed(rw.status):
		return 0, http.ErrBodyNotAllowed
	case !rw.passes && rw.length >= 0 && rw.written+int64(len(p)) > rw.length:
		return 0, http.ErrContentLength
	}
	rw.written += int64(len(p))
	switch {
	case rw.streaming:
		return rw.out([]byte(p))
	case rw.isHead():
		rw.buf = append(rw.buf, p[:min(len(p), sniffed-len(rw.buf))]...)
		return len(p), nil
	case len(rw.buf)+len(p) <= rw.limit:
		rw.buf = append(rw.buf, p...)
		return len(p), nil
	}
	if err := rw.stream(); err != nil {
		return 0, err
	}
	return rw.out([]byte(p))
}

// isHead tells whether the response has no content, whatever the handler writes. The hash
// is then that of the empty content.
func (rw *response) isHead() bool { return rw.x.request.Method == http.MethodHead }

// out writes what goes out at once.
func (rw *response) out(p []byte) (int, error) {
	if rw.hash != nil {
		rw.hash.Write(p)
	}
	n, err := rw.w.Write(p)
	if err != nil {
		rw.failed = true
	}
	return n, err
}

// sniffed is how much net/http looks at to tell the type of a content.
const sniffed = 512

// copyBuffers has the memory of copies that are going on.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom implements io.ReaderFrom, which io.Copy asks for. What is hashed has to be read:
// the kernel cannot send a file by itself, as it does below where nobody records. Nothing
// is decided before the source has given something, so that a handler may still answer
// that it did not.
func (rw *response) ReadFrom(src io.Reader) (n int64, err error) {
	if rw.status == 0 {
		if n, err = rw.copy(io.LimitReader(src, sniffed)); err != nil || n < sniffed {
			return n, err
		}
	}
	var more int64
	if rw.streaming && rw.hash == nil && !rw.hijacked {
		more, err = io.Copy(rw.w, src)
		rw.written += more
		rw.failed = rw.failed || err != nil // of reading or writing: the response is not whole
	} else {
		more, err = rw.copy(src)
	}
	return n + more, err
}

// copy writes all of a source, whatever faster ways the two may know.
func (rw *response) copy(src io.Reader) (int64, error) {
	buf, _ := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{rw}, struct{ io.Reader }{src}, buf[:])
}

// bodyAllowed tells whether a status may have content (RFC 9110, 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
