// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// inProcess serves one request with a token on a writer of the test's.
func (w *world) inProcess(t testing.TB, rw http.ResponseWriter, h http.HandlerFunc, opts ...httpect.Option) {
	t.Helper()
	httpect.Middleware(w.service, opts...)(h).ServeHTTP(rw, newRequest(t, "GET", "/", nil, w.head(t)))
}

var errFlush = errors.New("nobody listens")

// deaf is a writer whose flushes fail.
type deaf struct{ *httptest.ResponseRecorder }

func (deaf) FlushError() error { return errFlush }

// TestFlushFails: what could not be flushed did not arrive, however the handler asked.
func TestFlushFails(t *testing.T) {
	for name, flush := range map[string]func(http.ResponseWriter){
		"flusher": func(rw http.ResponseWriter) { rw.(http.Flusher).Flush() }, //nolint:forcetypeassert // the point of the test
		"controller": func(rw http.ResponseWriter) {
			if err := http.NewResponseController(rw).Flush(); !errors.Is(err, errFlush) {
				t.Errorf("Flush = %v, want %v", err, errFlush)
			}
		},
	} {
		w := newWorld(t)
		w.inProcess(t, deaf{httptest.NewRecorder()}, func(rw http.ResponseWriter, _ *http.Request) {
			io.WriteString(rw, "event") //nolint:errcheck // kept back
			flush(rw)
		})
		if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeCancelled || c.OutHash.Present {
			t.Errorf("%s: outcome = %v, out_hash = %v; want a cancelled task without", name, c.Ext.Outcome, c.OutHash)
		}
		if w.seen.unsentCount() != 1 {
			t.Errorf("%s: %d unsent, want the record that could not follow", name, w.seen.unsentCount())
		}
	}
}

// TestFlushUnsupported: a flush that nobody below can do leaves the response whole, and
// its token in the header.
func TestFlushUnsupported(t *testing.T) {
	w := newWorld(t)
	below := nowhere{http.Header{}}
	w.inProcess(t, below, func(rw http.ResponseWriter, _ *http.Request) {
		io.WriteString(rw, "event")   //nolint:errcheck // kept back
		rw.(http.Flusher).Flush()     //nolint:forcetypeassert // the point of the test
		rw.Header().Set("X-Late", "") // too late for the header
		if err := http.NewResponseController(rw).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush = %v, want %v", err, http.ErrNotSupported)
		}
	})
	if len(below.h[httpect.FieldName]) != 1 || below.h["Trailer"] != nil {
		t.Errorf("header = %v, want the token in it", below.h)
	}
	if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeOK || c.OutHash != hashOf([]byte("event")) {
		t.Errorf("outcome = %v, out_hash = %v", c.Ext.Outcome, c.OutHash)
	}
}
