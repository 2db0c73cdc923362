// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/related"
	"github.com/go-ect/ect/internal/section"
)

// carry gives a request its tokens: in the header section the dispatch and what context
// has room beside it, or all in the body where there is no room for the dispatch
// (profile 9.2, 9.3).
func carry(out *http.Request, to core.Audience, tokens []string) error {
	if n := section.Fit(tokens, FieldName, sectionSize(out), DefaultHeaderBytes); n > 0 {
		out.Header[FieldName] = tokens[:n]
		return nil
	}
	if !to.BodyFallback || !takesFallback(out.Method) {
		return core.NewError(core.CodeTooLarge, errors.New("the header section has no room for the dispatch"))
	}
	if err := fold(out, tokens); err != nil {
		return core.NewError(core.CodeTooLarge, fmt.Errorf("the header section has no room for the dispatch, and the body cannot take it: %w", err))
	}
	return nil
}

// sectionSize returns the bytes of the header section of a request.
func sectionSize(out *http.Request) int { return section.Size(out.Header) + len(out.URL.RequestURI()) }

// fold puts tokens into the body of a request, and the fields that describe the body
// beside it. Others that do, such as Content-Digest, stay where they are and go on
// speaking of the body that was there before.
func fold(out *http.Request, tokens []string) error {
	head := related.Head{Tokens: tokens, Header: map[string]string{}}
	if err := takeFields(out.Header, head.Header); err != nil {
		return err
	}
	boundary := related.NewBoundary()
	before, after, err := head.Frame(boundary)
	if err != nil {
		return err
	}
	out.Header[related.ContentType] = []string{related.Type(boundary)}
	if sectionSize(out) > DefaultHeaderBytes {
		return errors.New("without any token it is too large as well")
	}
	frame := func(body io.ReadCloser) io.ReadCloser {
		return &struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(before), body, strings.NewReader(after)), body}
	}
	body, again, length := out.Body, out.GetBody, out.ContentLength
	switch {
	case body == nil || body == http.NoBody:
		body, length = http.NoBody, 0
		again = func() (io.ReadCloser, error) { return http.NoBody, nil }
	case length == 0: // which with a body stands for not known
		length = -1
	}
	if length >= 0 {
		length += int64(len(before) + len(after))
	}
	out.Body, out.ContentLength = frame(body), length
	if again != nil {
		out.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return frame(body), nil
		}
	}
	return nil
}

// takeFields moves the fields that go with the body out of a header section. One of them
// cannot be there twice, but where that makes a list.
func takeFields(h http.Header, into map[string]string) error {
	for name, values := range h {
		for _, field := range related.Fields() {
			if !strings.EqualFold(name, field) {
				continue
			}
			delete(h, name)
			text, again := into[field]
			list := field == related.ContentEncoding || field == related.ContentLanguage
			if !list && (again || len(values) > 1) {
				return fmt.Errorf("%s comes twice", field)
			}
			if again {
				values = append([]string{text}, values...)
			}
			if len(values) > 0 {
				into[field] = strings.Join(values, ", ")
			}
		}
		if strings.EqualFold(name, transferEncoding) {
			return fmt.Errorf("%s has no place in it", transferEncoding)
		}
	}
	return nil
}
