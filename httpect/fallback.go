// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/related"
)

// takesFallback tells whether a request of this method may have its tokens in the body
// (profile 9.3).
func takesFallback(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// unfold takes the tokens of a request, from the body if they are there. Then it returns
// the request as it would have come without them. With an error it returns the request
// as it came, every byte of it.
func (x *exchange) unfold(r *http.Request) (*http.Request, *core.Error) {
	x.values = r.Header[FieldName]
	boundary, ours, err := formOf(r.Header)
	switch {
	case !ours:
		return r, nil
	case !x.m.fallback:
		return r, core.NewError(core.CodeUnsupported, errors.New("the tokens came in the body; see WithBodyFallback"))
	case !takesFallback(r.Method):
		return r, core.NewError(core.CodeUnsupported, errors.New("no request of this method has tokens in its body"))
	case err != nil:
		return r, formError(err)
	case r.Header["Content-Encoding"] != nil || r.Header[transferEncoding] != nil:
		return r, core.NewError(core.CodeMalformed, errors.New("a body that holds tokens is encoded"))
	case core.AnyToken(x.values) || core.AnyToken(r.Header[receiptFieldName]):
		return r, core.NewError(core.CodeMalformed, errors.New("tokens or receipts in both field and body"))
	}
	x.source = newSource(r)
	if x.mode == Observe {
		x.source.kept = &bytes.Buffer{}
	}
	inner, tokens, err := x.source.unfold(r, boundary, x.m.limits())
	if err != nil {
		outer := r.WithContext(r.Context())
		outer.Body = x.source.replay()
		return outer, formError(err)
	}
	x.values, x.inBody = tokens, true
	return inner, nil
}

// transferEncoding is a field of mail, which HTTP has no use for.
const transferEncoding = "Content-Transfer-Encoding"

// formOf tells whether a message has its tokens in the body, and between which
// boundaries.
func formOf(h http.Header) (boundary string, ours bool, err error) {
	values := h[related.ContentType]
	for _, v := range values {
		if b, is, bad := related.ParseType(v); is {
			boundary, ours, err = b, true, bad
		}
	}
	if ours && len(values) > 1 {
		err = fmt.Errorf("%w: it has two media types", related.ErrMalformed)
	}
	return boundary, ours, err
}

// formError says what a message is refused with whose form could not be read. One that
// ended before its time is no message.
func formError(err error) *core.Error {
	_, capped := errors.AsType[*http.MaxBytesError](err)
	if capped || errors.Is(err, related.ErrTooLarge) {
		return core.NewError(core.CodeBodyTooLarge, err)
	}
	return core.NewError(core.CodeMalformed, err)
}

// limits are those of the verifier, its defaults filled in.
func (m *middleware) limits() related.Limits {
	l := m.service.Verifier().Policy().Limits
	return related.Limits{
		TokenBytes: cmp.Or(l.TokenBytes, core.DefaultTokenBytes),
		Tokens:     cmp.Or(l.Tokens, core.DefaultTokens),
		TotalBytes: cmp.Or(l.TotalBytes, core.DefaultTotalBytes),
	}
}

// source is the body of a request that has its tokens in it, as net/http gives it.
type source struct {
	io.ReadCloser
	// length is that of all of it, -1 if it is not known; count is what was read.
	length int64
	count  atomic.Int64
	closed atomic.Bool
	err    error
	// kept has what was read as long as it may have to be given back.
	kept *bytes.Buffer
}

func newSource(r *http.Request) *source {
	if r.Body == nil { // in a request that no server made
		return &source{ReadCloser: http.NoBody}
	}
	return &source{ReadCloser: r.Body, length: r.ContentLength}
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.ReadCloser.Read(p)
	s.err = err
	s.count.Add(int64(n))
	if s.kept != nil {
		s.kept.Write(p[:n])
	}
	return n, err
}

// Close implements io.Closer.
func (s *source) Close() error {
	s.closed.Store(true)
	return s.ReadCloser.Close()
}

// replay returns the body from its beginning, where that was kept.
func (s *source) replay() io.ReadCloser {
	if s.kept == nil {
		return s
	}
	kept := s.kept
	s.kept = nil
	return &struct {
		io.Reader
		io.Closer
	}{io.MultiReader(kept, s), s}
}

// unfold reads what stands before the body. It returns the request as it would have come
// without its tokens, and these.
func (s *source) unfold(r *http.Request, boundary string, l related.Limits) (*http.Request, []string, error) {
	form, err := related.NewReader(s, boundary, l)
	if err != nil {
		return nil, nil, err
	}
	length, err := form.BodyLength(s.length)
	if err != nil {
		return nil, nil, err
	}
	in := r.WithContext(r.Context())
	in.Body = &unfoldedBody{form, s}
	if length == 0 { // then the end of the form is due, and is looked at
		n, err := form.Read(make([]byte, 1))
		if n > 0 {
			err = fmt.Errorf("%w: its end is not where its length says", related.ErrMalformed)
		}
		if !isEOF(err) {
			return nil, nil, err
		}
		in.Body = http.NoBody
	}
	in.ContentLength = length
	in.Header = maps.Clone(r.Header)
	for _, name := range related.Fields() {
		delete(in.Header, name)
		if value, ok := form.Header[name]; ok {
			in.Header[name] = []string{value}
		}
	}
	delete(in.Header, "Content-Length")
	if length >= 0 {
		in.Header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	delete(in.Header, "Expect") // the sender was asked for its body
	// Whoever looked for a form in the envelope has found none.
	in.Form, in.PostForm, in.MultipartForm = nil, nil, nil
	s.kept = nil
	return in, form.Tokens, nil
}

// unfoldedBody is what a message with its tokens in the body has for a body.
type unfoldedBody struct {
	*related.Reader
	source *source
}

// Read implements io.Reader.
func (b *unfoldedBody) Read(p []byte) (int, error) {
	if b.source.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

// Close implements io.Closer.
func (b *unfoldedBody) Close() error { return b.source.Close() }

// spoiled judges what reading a body failed with. A form that turns out not to be one is
// refused late, as a body that differs is, where anything is refused.
func (x *exchange) spoiled(r *http.Request, err error) error {
	if !errors.Is(err, related.ErrMalformed) {
		return err
	}
	bad := formError(err)
	x.m.service.Rejected(r.Context(), bad, x.info())
	if x.mode == Observe {
		return err
	}
	return bad
}

// unread returns how much of the request's body net/http has not given out yet, less than
// nothing if that is not known.
func (x *exchange) unread() int64 {
	switch {
	case x.source == nil && x.request.ContentLength >= 0:
		return x.request.ContentLength - x.body.passedSoFar()
	case x.source != nil && x.source.length >= 0:
		return x.source.length - x.source.count.Load()
	}
	return -1
}
