// The people of a document: who is active, who comes and goes. Boxes and points belong to a person: the document's own are
// those of the active one, so that a program that knows of one person reads them; the others keep theirs in `places`.

import { BOXES, emptyPerson, emptyPlaces, MAX_PEOPLE, POINTS } from "./reading.mjs";

/** The document's boxes and points, which are the active person's. */
export function placesOf(doc) {
  return Object.fromEntries([...BOXES, ...POINTS].map((key) => [key, doc[key]]));
}

/** Make another person the active one. */
export function setActive(doc, index) {
  const active = Math.min(Math.max(index, 0), doc.people.length - 1);
  if (active === doc.active) return doc;
  const places = doc.people[active].places;
  const people = doc.people.map((person, number) => {
    if (number === doc.active) return { ...person, places: placesOf(doc) };
    return number === active ? { ...person, places: emptyPlaces() } : person;
  });
  return { ...doc, ...places, people, active };
}

/** Add a person without joints and make it the active one; nothing happens when there are too many. */
export function addPerson(doc) {
  if (doc.people.length >= MAX_PEOPLE) return doc;
  return setActive({ ...doc, people: [...doc.people, emptyPerson()] }, doc.people.length);
}

/** Remove the active person with its boxes and points; the last one is emptied instead. */
export function removePerson(doc) {
  const people = doc.people.filter((_, index) => index !== doc.active);
  if (people.length === 0) people.push(emptyPerson());
  const active = Math.min(doc.active, people.length - 1);
  const { places } = people[active];
  people[active] = { ...people[active], places: emptyPlaces() };
  return { ...doc, ...places, people, active };
}
