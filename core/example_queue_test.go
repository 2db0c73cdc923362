// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"fmt"

	"github.com/go-ect/ect/core"
)

// message is what a queue holds: content, and headers beside it.
type message struct {
	headers core.MapCarrier
	content []byte
}

// pack is what a consumer does with a message: it tells whether to acknowledge it.
func pack(warehouse *core.Service, m message) (acknowledge bool) {
	ctx, task, err := core.Extract(context.Background(), warehouse, m.headers, core.ExtractInput{
		Action: "pack", Content: core.HashOf(m.content),
	})
	switch code := core.CodeOf(err); {
	case code == core.CodeUnavailable:
		return false // nothing was claimed: it may come again
	case err != nil:
		fmt.Println("refused:", code)
		return true
	}
	end := core.Completion{Keep: true} // no message goes back
	if _, err := task.Step(ctx, "fetch_goods", core.StepInput{}); err != nil {
		end.Outcome = core.OutcomeError
	}
	if _, err := task.Finish(ctx, end); err != nil {
		fmt.Println("packed, and there is no record of it:", err)
	}
	return true
}

// A queue in memory: the order comes after the checkout began, the packing after the
// order. What is delivered twice is packed once, and another content is refused.
func ExampleInject() {
	g := &exampleGraph{}
	services := exampleServices(g, "https://shop.example", "https://warehouse.example")
	shop, warehouse := services[0], services[1]
	queue := make(chan message, 3)

	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		fmt.Println(err)
		return
	}
	must(task.Step(ctx, "reserve", core.StepInput{}))
	m := message{core.MapCarrier{}, []byte("2 chairs")}
	_, err = core.Inject(ctx, m.headers, "https://warehouse.example", core.DispatchInput{
		Action: "order", OutHash: core.HashOf(m.content),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	queue <- message{m.headers, []byte("3 chairs")} // somebody between the two
	queue <- m
	queue <- m // a queue that delivers at least once
	close(queue)
	must(task.Finish(ctx, core.Completion{}))

	for m := range queue {
		fmt.Println("acknowledge:", pack(warehouse, m))
	}
	g.print("reserve", "order", "checkout", "fetch_goods", "pack")
	// Output:
	// refused: body
	// acknowledge: true
	// acknowledge: true
	// refused: replayed
	// acknowledge: true
	// reserve after []
	// order after [reserve]
	// checkout after [order]
	// fetch_goods after [order]
	// pack after [fetch_goods order]
}
