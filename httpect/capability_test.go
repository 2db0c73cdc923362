// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	chimw "github.com/go-chi/chi/v5/middleware"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// inProcess serves one request with a token on a writer of the test's.
func (w *world) inProcess(t testing.TB, rw http.ResponseWriter, h http.HandlerFunc) {
	t.Helper()
	httpect.Middleware(w.service)(h).ServeHTTP(rw, newRequest(t, "GET", "/", nil, w.head(t)))
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
	below := httptest.NewRecorder()
	w.inProcess(t, struct{ http.ResponseWriter }{below}, func(rw http.ResponseWriter, _ *http.Request) {
		io.WriteString(rw, "event")   //nolint:errcheck // kept back
		rw.(http.Flusher).Flush()     //nolint:forcetypeassert // the point of the test
		rw.Header().Set("X-Late", "") // too late for the header
		if err := http.NewResponseController(rw).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush = %v, want %v", err, http.ErrNotSupported)
		}
	})
	if r := below.Result(); len(r.Header[httpect.FieldName]) != 1 || r.Header["Trailer"] != nil {
		t.Errorf("header = %v, want the token in it", r.Header)
	}
	if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeOK || c.OutHash != hashOf([]byte("event")) {
		t.Errorf("outcome = %v, out_hash = %v", c.Ext.Outcome, c.OutHash)
	}
}

// methods returns the names of what a writer can do.
func methods(w http.ResponseWriter) (names []string) {
	for m := range reflect.TypeOf(w).Methods() {
		names = append(names, m.Name)
	}
	return names
}

// TestKeepsWhatIsBelow: whatever net/http's writers can do, ours can, of whichever version
// of Go; a way round the hash it has none.
func TestKeepsWhatIsBelow(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		var below, ours []string
		h := httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { ours = methods(rw) }))
		s := serve(t, proto, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			below = methods(rw)
			h.ServeHTTP(rw, r)
		}))
		w.answer(t, s.send(t, "GET", "/", nil, w.head(t)))
		for _, name := range below {
			// The request's context says what CloseNotify said.
			if !slices.Contains(ours, name) && name != "CloseNotify" {
				t.Errorf("the handler's writer has no %s, as it has without the middleware", name)
			}
		}
		if slices.Contains(ours, "Unwrap") {
			t.Error("the handler's writer can be unwrapped")
		}
	})
}

// TestAbsentBelow: of what the writer below cannot do, all ways to ask say so, and none
// panics or changes the response.
func TestAbsentBelow(t *testing.T) {
	w := newWorld(t)
	below := httptest.NewRecorder()
	w.inProcess(t, struct{ http.ResponseWriter }{below}, func(rw http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(rw)
		rw.Header().Set("X-Kept", "1")
		for name, ask := range map[string]func() error{
			"flush":          c.Flush,
			"full duplex":    c.EnableFullDuplex,
			"read deadline":  func() error { return c.SetReadDeadline(time.Now()) },
			"write deadline": func() error { return c.SetWriteDeadline(time.Now()) },
			"hijack":         func() error { _, _, err := c.Hijack(); return err },
			"hijacker":       func() error { _, _, err := rw.(http.Hijacker).Hijack(); return err }, //nolint:forcetypeassert // the point of the test
			"push":           func() error { return rw.(http.Pusher).Push("/", nil) },               //nolint:forcetypeassert // the point of the test
			"flusher":        func() error { rw.(http.Flusher).Flush(); return http.ErrNotSupported },
		} {
			if err := ask(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("%s = %v, want %v", name, err, http.ErrNotSupported)
			}
		}
		writes(10)(rw, r)
	})
	if h := below.Result().Header; len(h[httpect.FieldName]) != 1 || h.Get("X-Kept") != "1" {
		t.Errorf("header = %v, want the token in it", h)
	}
	if c := w.seen.next(t).Claims(); c.Ext.Status != 200 || c.OutHash != hashOf([]byte("aaaaaaaaaa")) {
		t.Errorf("status = %d, out_hash = %v", c.Ext.Status, c.OutHash)
	}
}

// TestPush: over HTTP/2 a handler may push where the client lets it; Go's does not, and
// says so.
func TestPush(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if err := rw.(http.Pusher).Push("/style.css", nil); !errors.Is(err, http.ErrNotSupported) { //nolint:forcetypeassert // the point of the test
				t.Errorf("Push = %v, want %v", err, http.ErrNotSupported)
			}
			writes(10)(rw, r)
		})))
		w.answer(t, s.send(t, "GET", "/", nil, w.head(t)))
	})
	pushed := &pusher{ResponseRecorder: httptest.NewRecorder()}
	w := newWorld(t)
	w.inProcess(t, wrapped{pushed}, func(rw http.ResponseWriter, _ *http.Request) {
		if err := rw.(http.Pusher).Push("/style.css", nil); err != nil { //nolint:forcetypeassert // the point of the test
			t.Errorf("Push: %v", err)
		}
	})
	if pushed.target != "/style.css" {
		t.Errorf("pushed %q", pushed.target)
	}
}

// pusher notes what is pushed.
type pusher struct {
	*httptest.ResponseRecorder
	target string
}

func (p *pusher) Push(target string, _ *http.PushOptions) error {
	p.target = target
	return nil
}

// wrapped is a writer of somebody's that shows what it wraps, as http.ResponseController
// wants it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// readOnly is a source that does not write itself, so that io.Copy asks the other side.
type readOnly struct{ io.Reader }

// TestEveryWayToWrite: whichever way a handler writes, through interfaces that it asks
// for, helpers that ask for them, or wrappers of others, what the client gets is what was
// hashed.
func TestEveryWayToWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{0, 1, 511, 512, 513, httpect.DefaultResponseBuffer, httpect.DefaultResponseBuffer + 1, 300_000} {
		content := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		open := func(t *testing.T) *os.File {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
		for name, write := range map[string]func(*testing.T, http.ResponseWriter, *http.Request) error{
			"Write": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) error {
				_, err := w.Write(content)
				return err
			},
			"io.WriteString": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) error {
				text := string(content)
				_, err := io.WriteString(w, text)
				return err
			},
			"ReadFrom": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) error {
				n, err := w.(io.ReaderFrom).ReadFrom(bytes.NewReader(content)) //nolint:forcetypeassert // the point of the test
				if n != int64(size) {
					return fmt.Errorf("ReadFrom = %d, %w", n, err)
				}
				return err
			},
			"Write, then ReadFrom": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) error {
				_, err := w.Write(content[:size/3])
				if err != nil {
					return err
				}
				_, err = io.Copy(w, readOnly{bytes.NewReader(content[size/3:])})
				return err
			},
			"Flush, then a file": func(t *testing.T, w http.ResponseWriter, _ *http.Request) error {
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
				_, err := io.Copy(w, open(t))
				return err
			},
			"a file": func(t *testing.T, w http.ResponseWriter, _ *http.Request) error {
				_, err := io.Copy(w, open(t))
				return err
			},
			"http.ServeFile": func(_ *testing.T, w http.ResponseWriter, r *http.Request) error {
				http.ServeFile(w, r, file)
				return nil
			},
			"bufio": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) error { return buffered(w, content) },
			"wrapped by chi": func(_ *testing.T, w http.ResponseWriter, r *http.Request) error {
				return buffered(chimw.NewWrapResponseWriter(w, r.ProtoMajor), content)
			},
			"a file, by chi": func(t *testing.T, w http.ResponseWriter, r *http.Request) error {
				_, err := io.Copy(chimw.NewWrapResponseWriter(w, r.ProtoMajor), open(t))
				return err
			},
			"unwrapped by chi": func(_ *testing.T, w http.ResponseWriter, r *http.Request) error {
				return buffered(chimw.NewWrapResponseWriter(w, r.ProtoMajor).Unwrap(), content)
			},
		} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					for _, edit := range []func(*setup){func(*setup) {}, verifyOnly} {
						w := newWorld(t, edit)
						s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							if err := write(t, rw, r); err != nil {
								t.Error(err)
							}
						})))
						r := s.send(t, "GET", "/", nil, w.head(t))
						if r.err != nil || !bytes.Equal(r.body, content) {
							t.Errorf("%v, want the %d bytes that were written", r, size)
						}
						if w.service.Records() && w.answer(t, r).Claims().OutHash != hashOf(content) {
							t.Error("out_hash is not of what came")
						}
					}
				})
			})
		}
	}
}

func buffered(w io.Writer, content []byte) error {
	b := bufio.NewWriterSize(w, 1000)
	b.Write(content) //nolint:errcheck // Flush says it again
	return b.Flush()
}

// TestSourceFails: a source that gives nothing leaves the handler free to say so; one that
// breaks off later does not.
func TestSourceFails(t *testing.T) {
	broken := errors.New("the disk broke")
	for name, good := range map[string]int{"at once": 0, "later": 513} {
		for _, edit := range []func(*setup){func(*setup) {}, verifyOnly} {
			w := newWorld(t, edit)
			s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				source := readOnly{io.MultiReader(bytes.NewReader(make([]byte, good)), iotest.ErrReader(broken))}
				if n, err := io.Copy(rw, source); !errors.Is(err, broken) || n != int64(good) {
					t.Errorf("Copy = %d, %v", n, err)
				}
				http.Error(rw, "no", http.StatusBadGateway)
			})))
			want := http.StatusOK
			if good == 0 {
				want = http.StatusBadGateway
			}
			if r := s.send(t, "GET", "/", nil, w.head(t)); r.StatusCode != want {
				t.Errorf("%s: %v, want %d", name, r, want)
			}
		}
	}
}
