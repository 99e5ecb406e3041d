package cart

import "testing"

func TestCartIsFull(t *testing.T) {
	cart := New()
	if err := cart.Add("book"); err != nil {
		t.Fatal(err)
	}
	if cart.Len() != 1 {
		t.Fatal("the cart is empty")
	}
}
