/** A choice: an object with one of several members, and none of the others. */
export type OneOf<Members> = {
  [Name in keyof Members]: Pick<Members, Name> & { readonly [Other in Exclude<keyof Members, Name>]?: never }
}[keyof Members]
