// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// writes returns a handler that writes pieces of a body, each of a size.
func writes(sizes ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for n, size := range sizes {
			w.Write(bytes.Repeat([]byte{byte('a' + n%26)}, size)) //nolint:errcheck // the client looks
		}
	}
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// with sets a field of the header before a handler runs.
func with(name, value string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		next(w, r)
	}
}

// flushes lets a handler write on after a flush.
func flushes(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun ") //nolint:errcheck // the client looks
		http.NewResponseController(w).Flush()
		next(w, r)
	}
}

func buffer(n int) []httpect.Option { return []httpect.Option{httpect.WithResponseBuffer(n)} }

// TestAnswerPlace says where the answer stands, and holds it against what went over the
// wire.
func TestAnswerPlace(t *testing.T) {
	length := func(n int, next http.HandlerFunc) http.HandlerFunc {
		return with("Content-Length", strconv.Itoa(n), next)
	}
	keep := []httpect.Option{httpect.WithResponseBuffer(64), httpect.WithLengthPolicy(httpect.KeepLength)}
	for _, c := range []struct {
		name    string
		method  string
		handler http.HandlerFunc
		options []httpect.Option
		want    string
		// over1 is where it stands over HTTP/1.1, if elsewhere.
		over1 string
	}{
		{name: "nothing written", handler: empty, want: "header"},
		{name: "an empty write", handler: writes(0), options: buffer(0), want: "header"},
		{name: "small", handler: writes(10), want: "header"},
		{name: "one under the buffer", handler: writes(63), options: buffer(64), want: "header"},
		{name: "as large as the buffer", handler: writes(64), options: buffer(64), want: "header"},
		{name: "in pieces as large as the buffer", handler: writes(32, 0, 31, 1), options: buffer(64), want: "header"},
		{name: "one over the buffer", handler: writes(65), options: buffer(64), want: "trailer"},
		{name: "in pieces over the buffer", handler: writes(32, 32, 1), options: buffer(64), want: "trailer"},
		{name: "far over the buffer", handler: writes(60, 5000, 1, 5000), options: buffer(64), want: "trailer"},
		{name: "the default buffer", handler: writes(httpect.DefaultResponseBuffer), want: "header"},
		{name: "over the default buffer", handler: writes(httpect.DefaultResponseBuffer, 1), want: "trailer"},
		{name: "no buffer", handler: writes(1), options: buffer(0), want: "trailer"},
		{name: "no buffer, nothing written", handler: empty, options: buffer(0), want: "header"},
		{name: "flushed", handler: flushes(writes(10)), want: "trailer"},
		{name: "flushed and nothing more", handler: flushes(empty), want: "trailer"},
		{name: "flushed at first", handler: func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Flush()
		}, want: "trailer"},
		{name: "HEAD", method: "HEAD", handler: writes(10), want: "header"},
		{name: "HEAD over the buffer", method: "HEAD", handler: writes(100, 100), options: buffer(64), want: "header"},
		{name: "HEAD flushed", method: "HEAD", handler: flushes(writes(10)), want: "header"},
		{name: "HEAD with a length", method: "HEAD", handler: length(1000, empty), options: buffer(64), want: "header"},
		{name: "204", handler: answers(204), want: "header"},
		{name: "304", handler: answers(304), want: "header"},
		{name: "204 flushed", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			http.NewResponseController(w).Flush()
		}, want: "header"},
		{name: "204 with a body", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "no"); err != http.ErrBodyNotAllowed { //nolint:errorlint // as documented
				panic(err)
			}
		}, want: "header"},
		{name: "404", handler: http.NotFound, want: "header"},
		{name: "a length", handler: length(10, writes(10)), options: buffer(64), want: "header"},
		{name: "a length dropped", handler: length(65, writes(65)), options: buffer(64), want: "trailer"},
		{name: "a length kept", handler: length(65, writes(65)), options: keep, want: "trailer", over1: "none"},
		{name: "a length kept in the buffer", handler: length(64, writes(64)), options: keep, want: "header"},
		{name: "no length to keep", handler: writes(65), options: keep, want: "trailer"},
		{name: "POST", method: "POST", handler: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the client looks
		}, want: "header"},
		{name: "POST in a stream", method: "POST", handler: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the client looks
		}, options: buffer(2), want: "trailer"},
		{name: "POST unread", method: "POST", handler: writes(10), want: "header"},
		{name: "our field", handler: with(httpect.FieldName, "a.b.c", writes(10)), want: "header"},
		{name: "our field in a stream", handler: with(httpect.FieldName, "a.b.c", writes(10)), options: buffer(2), want: "trailer"},
		{name: "a receipt", handler: with(receiptField, ":AAAA:", writes(10)), want: "header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t, ignoreBody)
				r := chi.NewRouter()
				r.Use(httpect.Middleware(w.service, c.options...))
				r.HandleFunc("/items/{id}", c.handler)
				s := serve(t, proto, r)
				method := c.method
				if method == "" {
					method = "GET"
				}
				sent := []byte{}
				if method == "POST" {
					sent = []byte("what is sent")
				}
				const wid = "6f1d3a0e-74b9-4a3b-8f0e-6b1d6a3f0c11"
				head := w.from.Token(w.to.Identity).With("wid", wid).Sign(t)
				got := s.send(t, method, "/items/7", bytes.NewReader(sent), head)
				if got.err != nil {
					t.Fatalf("the body: %v", got.err)
				}
				want := c.want
				if proto == http1 && c.over1 != "" {
					want = c.over1
				}
				if p := got.place(); p != want {
					t.Fatalf("the answer stands in %s, want %s", p, want)
				}
				if got.Header[receiptField] != nil {
					t.Error("a receipt was passed on")
				}
				if hasVary(got.Header) != 1 {
					t.Errorf("Vary = %q", got.Header.Values("Vary"))
				}
				issued := w.seen.next(t)
				w.seen.none(t)
				if want == "none" {
					if w.seen.unsentCount() != 1 {
						t.Error("nobody was told of the token that was not sent")
					}
					if got.ContentLength < 0 {
						t.Error("the length was dropped")
					}
					return
				}
				v := w.answer(t, got)
				if v.Digest() != issued.Digest() {
					t.Error("the token that was sent is not the one that was issued")
				}
				if w.seen.unsentCount() != 0 {
					t.Error("the token counts as not sent")
				}
				h := parse(t, head)
				cl := v.Claims()
				if v.Issuer() != w.to.Identity {
					t.Errorf("iss = %q, want %q", v.Issuer(), w.to.Identity)
				}
				if diff := cmp.Diff([]string{w.from.Identity}, cl.Audience); diff != "" {
					t.Errorf("aud (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]core.UUID{h.ClaimsWithoutVerification().TaskID}, cl.Pred); diff != "" {
					t.Errorf("pred (-want +got):\n%s", diff)
				}
				if len(cl.Ext.PredDigests) != 1 || cl.Ext.PredDigests[0] != h.Digest().Short() {
					t.Errorf("pred_dig = %v, want %v", cl.Ext.PredDigests, h.Digest().Short())
				}
				if cl.Workflow.String() != wid {
					t.Errorf("wid = %v, want %v", cl.Workflow, wid)
				}
				if cl.OutHash != hashOf(got.body) {
					t.Errorf("out_hash = %v, want that of the %d bytes that came", cl.OutHash, len(got.body))
				}
				if want := hashOf(sent); cl.InpHash != want && c.name != "POST unread" {
					t.Errorf("inp_hash = %v, want %v", cl.InpHash, want)
				}
				if c.name == "POST unread" && cl.InpHash.Present {
					t.Errorf("inp_hash = %v of a body that nobody read", cl.InpHash)
				}
				if cl.Action != method+" /items/{id}" {
					t.Errorf("exec_act = %q", cl.Action)
				}
				if cl.Ext.Status != got.StatusCode || cl.Ext.Outcome != core.OutcomeOK {
					t.Errorf("status = %d, outcome = %v of a response with %d", cl.Ext.Status, cl.Ext.Outcome, got.StatusCode)
				}
			})
		})
	}
}

// TestAnswerCopied: what a gateway copies from an upstream never goes out, whether ours
// goes out or not.
func TestAnswerCopied(t *testing.T) {
	const theirs = "eyJhIjoxfQ.eyJhIjoxfQ.AAAA"
	for name, h := range map[string]http.HandlerFunc{
		"a header":              with(httpect.FieldName, theirs, writes(10)),
		"a header in a stream":  with(httpect.FieldName, theirs, flushes(writes(10))),
		"a header, other case":  func(w http.ResponseWriter, _ *http.Request) { w.Header()["execution-context"] = []string{theirs} },
		"an announced trailer":  with("Trailer", httpect.FieldName, writes(10)),
		"announced with others": with("Trailer", "X-Sum, execution-context", writes(10)),
		"a trailer": with("Trailer", httpect.FieldName, flushes(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(httpect.FieldName, theirs)
		})),
		"a receipt in the trailer": with("Trailer", receiptField, flushes(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(receiptField, ":AAAA:")
		})),
		"a trailer nobody announced": flushes(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(http.TrailerPrefix+httpect.FieldName, theirs)
		}),
		"a trailer nobody announced, not flushed": with(http.TrailerPrefix+httpect.FieldName, theirs, writes(10)),
	} {
		for who, edit := range map[string]func(*setup){"answering": func(*setup) {}, "silent": tellNobody, "verify only": verifyOnly} {
			t.Run(name+", "+who, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t, edit)
					s := serve(t, proto, httpect.Middleware(w.service)(h))
					r := s.send(t, "GET", "/", nil, w.head(t))
					if r.err != nil || r.StatusCode != 200 {
						t.Fatalf("status = %d, %v", r.StatusCode, r.err)
					}
					if slices.Contains(r.tokens(), theirs) || r.Header[receiptField] != nil || len(r.Trailer[receiptField]) > 0 {
						t.Errorf("another's token or receipt went out: of %d in the header and %d in the trailer",
							len(r.Header[httpect.FieldName]), len(r.Trailer[httpect.FieldName]))
					}
					if who != "answering" {
						if p := r.place(); p != "none" && len(r.tokens()) > 0 {
							t.Errorf("tokens in %s, want none", p)
						}
						return
					}
					if p := r.place(); p == "both" {
						t.Error("the answer stands in header and trailer")
					}
					w.answer(t, r)
				})
			})
		}
	}
}

// TestOwnTrailer: a handler's own trailer stays one, however small the response.
func TestOwnTrailer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"small": with("Trailer", "X-Sum", func(w http.ResponseWriter, r *http.Request) {
			writes(10)(w, r)
			w.Header().Set("X-Sum", "7")
		}),
		"flushed": with("Trailer", "X-Sum", flushes(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Sum", "7")
		})),
		"not announced": func(w http.ResponseWriter, r *http.Request) {
			writes(10)(w, r)
			w.Header().Set(http.TrailerPrefix+"X-Sum", "7")
		},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t)
				r := serve(t, proto, httpect.Middleware(w.service)(h)).send(t, "GET", "/", nil, w.head(t))
				bare := serve(t, proto, h).send(t, "GET", "/", nil)
				if got, want := r.Header.Get("X-Sum"), bare.Header.Get("X-Sum"); got != want {
					t.Errorf("X-Sum = %q in the header, %q without the middleware", got, want)
				}
				if got, want := r.Trailer.Get("X-Sum"), bare.Trailer.Get("X-Sum"); got != want && want != "" {
					t.Errorf("X-Sum = %q in the trailer, %q without the middleware", got, want)
				}
				w.answer(t, r)
			})
		})
	}
}

func TestVaryKept(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want []string
	}{
		"another": {with("Vary", "Accept-Encoding", empty), []string{"Accept-Encoding", httpect.FieldName}},
		"ours":    {with("Vary", httpect.FieldName, empty), []string{httpect.FieldName}},
		"replaced after the middleware set it": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Vary"] = []string{"Origin"}
		}, []string{"Origin", httpect.FieldName}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, edit := range []func(*setup){func(*setup) {}, verifyOnly} {
				w := newWorld(t, edit)
				s := serve(t, http1, httpect.Middleware(w.service)(c.h))
				r := s.send(t, "GET", "/", nil, w.head(t))
				if diff := cmp.Diff(c.want, r.Header["Vary"]); diff != "" && hasVary(r.Header) != 1 {
					t.Errorf("Vary (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestHTTP10 has no trailers.
func TestHTTP10(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, httpect.Middleware(w.service, httpect.WithResponseBuffer(64))(
		http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.URL.Query().Get("n"))
			if err != nil {
				t.Error(err)
			}
			writes(n)(rw, r)
		})))
	get := func(n string) *reply {
		return s.raw(t, "GET", "GET /?n="+n+" HTTP/1.0\r\nHost: x\r\nexecution-context: "+w.head(t)+"\r\n\r\n")
	}
	r := get("64")
	if v := w.answer(t, r); v.Claims().OutHash != hashOf(r.body) || r.place() != "header" {
		t.Errorf("out_hash = %v, in %s", v.Claims().OutHash, r.place())
	}
	w.seen.next(t)
	r = get("65")
	if r.place() != "none" || r.Header["Trailer"] != nil || r.Trailer != nil || len(r.body) != 65 {
		t.Errorf("over the buffer: header %v, trailer %v, %d bytes", r.Header, r.Trailer, len(r.body))
	}
	if c := w.seen.next(t).Claims(); c.OutHash != hashOf(r.body) || w.seen.unsentCount() != 1 {
		t.Errorf("out_hash = %v, %d unsent; want a record that counts as not sent", c.OutHash, w.seen.unsentCount())
	}
}

// TestAnswerWithoutRoom: a token that the header section has no room for is not sent.
func TestAnswerWithoutRoom(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, httpect.Middleware(w.service)(with("X-Large", strings.Repeat("x", httpect.DefaultHeaderBytes), writes(10))))
	r := s.send(t, "GET", "/", nil, w.head(t))
	if r.StatusCode != 200 || r.place() != "none" || len(r.body) != 10 || w.seen.unsentCount() != 1 {
		t.Errorf("status = %d, token in %s, %d bytes, %d unsent", r.StatusCode, r.place(), len(r.body), w.seen.unsentCount())
	}
}

// TestAnswerTo says who is answered.
func TestAnswerTo(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		edit  func(*setup)
		token func(t *testing.T, w *world) []string
		// want is whether the answer goes out.
		want bool
	}{
		"a stranger":   {tellNobody, func(t *testing.T, w *world) []string { return []string{w.head(t)} }, false},
		"no more told": {func(s *setup) { s.tells[0].Tokens = false }, func(t *testing.T, w *world) []string { return []string{w.head(t)} }, false},
		"nobody at all": {acceptL1, func(t *testing.T, w *world) []string {
			return []string{w.from.Token(w.to.Identity).Without("iss").Unsigned(t)}
		}, false},
		"a claimed one": {acceptL1, func(t *testing.T, w *world) []string { return []string{w.from.Token(w.to.Identity).Unsigned(t)} }, true},
		"one of two": {func(*setup) {}, func(t *testing.T, w *world) []string {
			return []string{w.domain.Agent(t, "other").Token(w.to.Identity).Sign(t), w.head(t)}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, h := range []http.HandlerFunc{writes(1), flushes(empty)} {
				w = newWorld(t, c.edit)
				s := serve(t, http1, httpect.Middleware(w.service)(h))
				r := s.send(t, "GET", "/", nil, c.token(t, w)...)
				if r.StatusCode != 200 || (r.place() != "none") != c.want {
					t.Fatalf("status = %d (%s), tokens in %s; want them: %v", r.StatusCode, r.body, r.place(), c.want)
				}
				want := []string{w.to.Identity}
				if c.want {
					want = []string{w.from.Identity}
				} else if r.Trailer != nil {
					t.Errorf("a trailer was announced: %v", r.Trailer)
				}
				cl := w.seen.next(t).Claims()
				if diff := cmp.Diff(want, cl.Audience); diff != "" {
					t.Errorf("aud (-want +got):\n%s", diff)
				}
				if len(cl.Pred) == 0 || w.seen.unsentCount() != 0 {
					t.Errorf("pred = %v, %d unsent", cl.Pred, w.seen.unsentCount())
				}
			}
		})
	}
}

// TestAnswerWithoutHashes: a peer that gets no hashes gets none in the answer.
func TestAnswerWithoutHashes(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.tells[0].Hashes = false })
	s := serve(t, http1, httpect.Middleware(w.service)(writes(10)))
	if c := w.answer(t, s.send(t, "GET", "/", nil, w.head(t))).Claims(); c.InpHash.Present || c.OutHash.Present {
		t.Errorf("inp_hash = %v, out_hash = %v", c.InpHash, c.OutHash)
	}
}

// TestRevision00: a peer that reads the older names gets them.
func TestRevision00(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.tells[0].Revision = core.Revision00 })
	s := serve(t, http1, httpect.Middleware(w.service)(writes(10)))
	r := s.send(t, "GET", "/", nil, w.head(t))
	if v := w.answer(t, r); len(v.Claims().Pred) != 1 {
		t.Errorf("pred = %v", v.Claims().Pred)
	}
	if p := parse(t, r.tokens()[0]).PayloadWithoutVerification(); !bytes.Contains(p, []byte(`"par":[`)) {
		t.Errorf("the payload %s has no par", p)
	}
}

// TestWorkflow: the task is in its heads' workflow; where they differ nothing runs.
func TestWorkflow(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, httpect.Middleware(w.service)(writes(10)))
	if c := w.answer(t, s.send(t, "GET", "/", nil, w.head(t))).Claims(); c.Workflow.Present {
		t.Errorf("wid = %v, want none, as the head has none", c.Workflow)
	}
	other := w.domain.Agent(t, "other")
	const one, two = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	s.send(t, "GET", "/", nil,
		w.from.Token(w.to.Identity).With("wid", one).Sign(t), other.Token(w.to.Identity).With("wid", two).Sign(t),
	).refused(t, core.CodeWorkflow)
}
