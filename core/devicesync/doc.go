// Package devicesync is what the devices of one account tell each other, and
// how that travels (design section 5, "Several devices"). It is pure: encodings,
// and decisions that are functions of their arguments.
//
// An Item says one thing: a message that was sent, what became of it, a contact,
// to whom tickets were given, a contact code, a root of seal secrets, a
// provider's pin. A device queues an item, as a Record of the item's kind and
// fields, in the same transaction as what it reports. Batches carry records in
// Parts, as many as fit, so that a batch has one size whatever is in it; Split
// cuts them and an Assembly puts them together again. An archive (a linked
// device's, or an exported account's) is a list of the same records.
//
// # Order and loss
//
// Applying an item twice, or two in another order than they were written, must
// end in the same state: records that state something carry the time at which it
// became so (Contact, Removed) or a status that only rises (Sent, Status). So a
// provider that repeats, withholds or reorders batches can make a device learn
// late or not at all, and nothing else. Of a record whose parts are not all
// there the rest is dropped; the records around it are not affected.
//
// # Schedule
//
// When a batch leaves depends on the clock and on random bytes only (Next), never
// on what is queued: a batch right after an anonymous message would tell the
// provider who sent it. An empty batch leaves too.
//
// # What it does not protect
//
// Items are not authenticated here: sealedsender says which device made a
// batch, and a device of the account may say everything. A device that is
// hostile therefore spoils contacts and history of the others until it is
// removed. The provider learns how many devices there are, when each is
// connected, and, from more batches of a class than the schedule has, nothing:
// there are none. A record is not deleted from the other device when it is
// deleted here, except a contact.
package devicesync
