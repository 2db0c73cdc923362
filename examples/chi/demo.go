// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/httpect"
)

// demonstrate starts the pipeline, shows what it does, and stops it.
func demonstrate(ctx context.Context, document []byte, to *demo.Telemetry, stdout io.Writer) error {
	p, err := newPipeline(ctx, to)
	if err != nil {
		return err
	}
	return errors.Join(p.show(ctx, document, stdout), p.close(ctx))
}

// show runs a document through the pipeline and shows what came of it.
func (p *pipeline) show(ctx context.Context, document []byte, stdout io.Writer) error {
	out := demo.NewPrinter(stdout)
	out.Line("A document of %d bytes goes through services of four vendors.", len(document))
	d, err := p.submit(ctx, document)
	if err != nil {
		return err
	}
	out.Line("Labels: %s. Decision: %s (%s).\n", strings.Join(d.Labels, ", "), d.Decision, d.Reason)

	g := demo.NewGraph(p.parties(), p.tokens())
	out.Line("What was recorded, in the order it was issued:\n")
	out.Do(g.Table)
	out.Line("\nThe same as a Mermaid diagram:\n")
	out.Do(g.Mermaid)
	if err := g.Check(); err != nil {
		return err
	}
	if err := g.SideBySide(
		[2]string{"intake calls classify", "intake calls redact"},
		[2]string{"classify: POST /labels", "redact: POST /redactions"},
		"intake calls approve",
	); err != nil {
		return err
	}
	out.Line("\nChecked with go-jose and the public keys alone: %d signatures and every edge.", g.Len())
	out.Line("The two branches begin together, stand apart and meet in the call to approve.\n")

	out.Line("What is refused:\n")
	attempts, err := p.attempts(ctx, document)
	if err != nil {
		return err
	}
	var wrong error
	out.Do(func(w io.Writer) error {
		wrong = demo.Attempts(ctx, w, attempts)
		return wrong
	})
	if wrong != nil {
		return wrong
	}
	out.Line("\nAll as it should be.")
	return out.Err()
}

// attempts is what is made against the running services by who should not get through.
func (p *pipeline) attempts(ctx context.Context, document []byte) ([]demo.Attempt, error) {
	// The submitter starts another task, and its dispatches fall into the wrong hands.
	tokens, err := demo.Dispatches(ctx, p.submitter.service, "submit_document", p.intake.audience(), core.HashOf(document), 4)
	if err != nil {
		return nil, err
	}
	forged, err := demo.Forge(tokens[1])
	if err != nil {
		return nil, err
	}
	const documents = "/documents"
	try := func(what string, to *agent, path, token string, body []byte, status int, code string) demo.Attempt {
		return demo.Attempt{What: what, At: to.name, Due: demo.Reply{Status: strconv.Itoa(status), Code: code},
			Send: func(ctx context.Context) (demo.Reply, error) { return send(ctx, to.origin()+path, token, body) }}
	}
	return []demo.Attempt{
		try("the token as it was issued", p.intake, documents, tokens[0], document, http.StatusOK, ""),
		try("replay: the same token again", p.intake, documents, tokens[0], document, http.StatusForbidden, "replayed"),
		try("tampering: another action in the claims", p.intake, documents, forged.Tampered, document, http.StatusForbidden, "rejected"),
		try("tampering: another body under a good token", p.intake, documents, tokens[2], []byte("another document"), http.StatusForbidden, "rejected"),
		try("downgrade: the claims without a signature", p.intake, documents, forged.Unsigned, document, http.StatusForbidden, "rejected"),
		try("downgrade: alg none", p.intake, documents, forged.None, document, http.StatusForbidden, "rejected"),
		try("a token for another audience", p.approve, "/decisions", tokens[3], document, http.StatusForbidden, "rejected"),
		try("no token", p.intake, documents, "", document, http.StatusForbidden, "required"),
		try("not a token", p.intake, documents, "a.b", document, http.StatusBadRequest, "malformed"),
	}, nil
}

// stranger is the client of who has no part in the pipeline.
var stranger = &http.Client{Transport: &http.Transport{}}

// send sends a body as a stranger would, without the library's transport; no token if there
// is none.
func send(ctx context.Context, url, token string, body []byte) (demo.Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return demo.Reply{}, err
	}
	if token != "" {
		req.Header.Set(httpect.FieldName, token)
	}
	resp, err := stranger.Do(req)
	if err != nil {
		return demo.Reply{}, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return demo.Reply{}, err
	}
	got := demo.Reply{Status: strconv.Itoa(resp.StatusCode)}
	if resp.Header.Get("Content-Type") != "application/problem+json" {
		return got, nil
	}
	var problem struct {
		Code string `json:"code"`
	}
	err = json.Unmarshal(answer, &problem)
	got.Code = problem.Code
	return got, err
}
